//! What a route is called: the conditions that lead to it from the root, whatever its place among its siblings is.

use super::{Route, Routing};

/// What stands between a route and the one below it.
const BELOW: &str = " > ";
/// Where every name begins.
pub const ROOT: &str = "root";

/// A route of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRoute<'a> {
    /// `root > {team="shop"} > {severity="critical"}`. Of siblings with the same conditions each but the first has its
    /// number: `root > {team="shop"} #2`.
    pub name: String,
    /// Positions among siblings, from the root.
    pub path: Vec<usize>,
    /// The route.
    pub route: &'a Route,
}

/// Why a name is that of no route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteNameError {
    /// None has it.
    #[error("there is no route {0:?}; `mainstay route list` shows them")]
    Unknown(String),
    /// More than one name ends so.
    #[error("{name:?} is the end of more than one route's name: {}", .routes.join("; "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// Those it may be.
        routes: Vec<String>,
    },
}

/// Whether a route is another or stands below it, by their names.
#[must_use]
pub fn is_within(name: &str, above: &str) -> bool {
    name.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(BELOW))
}

fn conditions(route: &Route) -> String {
    let mut matchers: Vec<_> = route.matchers.iter().collect();
    matchers.sort_by_key(|matcher| (matcher.name(), matcher.value(), matcher.op()));
    let matchers: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", matchers.join(", "))
}

/// The names of the routes below one, in their order.
fn names_below(name: &str, route: &Route) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    let names = route.routes.iter().map(|below| {
        let words = conditions(below);
        let before = seen.iter().filter(|known| **known == words).count();
        let number = match before {
            0 => String::new(),
            _ => format!(" #{}", before + 1),
        };
        seen.push(words.clone());
        format!("{name}{BELOW}{words}{number}")
    });
    names.collect()
}

impl Routing {
    /// Every route, each before those below it.
    #[must_use]
    pub fn routes(&self) -> Vec<NamedRoute<'_>> {
        let mut found = vec![NamedRoute {
            name: ROOT.to_owned(),
            path: Vec::new(),
            route: &self.route,
        }];
        let mut next = 0;
        while let Some(above) = found.get(next) {
            let (name, path, route) = (above.name.clone(), above.path.clone(), above.route);
            let names = names_below(&name, route).into_iter().zip(&route.routes);
            let below = names.enumerate().map(|(index, (name, route))| NamedRoute {
                name,
                path: path.iter().copied().chain([index]).collect(),
                route,
            });
            let below: Vec<NamedRoute<'_>> = below.collect();
            next += 1;
            found.splice(next..next, below);
        }
        found
    }

    /// The name of the route at a path from the root, as far as the path is one.
    #[must_use]
    pub fn route_name(&self, path: &[usize]) -> String {
        let (mut name, mut route) = (ROOT.to_owned(), &self.route);
        for index in path {
            let (Some(named), Some(below)) = (
                names_below(&name, route).into_iter().nth(*index),
                route.routes.get(*index),
            ) else {
                break;
            };
            (name, route) = (named, below);
        }
        name
    }

    /// The route that somebody names: by its whole name or by the end of it, if no other ends so.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn find_route(&self, name: &str) -> Result<NamedRoute<'_>, RouteNameError> {
        let name = name.trim();
        let end = format!("{BELOW}{name}");
        let mut ending = Vec::new();
        for named in self.routes() {
            if named.name == name {
                return Ok(named);
            }
            if named.name.ends_with(&end) {
                ending.push(named);
            }
        }
        if ending.len() > 1 {
            return Err(RouteNameError::Ambiguous {
                name: name.to_owned(),
                routes: ending.into_iter().map(|named| named.name).collect(),
            });
        }
        let one = ending.pop();
        one.ok_or_else(|| RouteNameError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Catalog, Diagnostics, Documents};

    const ROUTING: &str = r#"
apiVersion: mainstay/v1
kind: Routing
metadata: {name: routing}
spec:
  receivers: [{name: a}, {name: b}]
  route:
    receiver: a
    routes:
      - matchers: ['team="shop"', 'cell="c1"']
        continue: true
        routes: [{matchers: ['severity="critical"']}]
      - {receiver: b, matchers: ['cell="c1"', 'team="shop"']}
      - matchers: ['team="bank"']
        routes: [{matchers: ['severity="critical"']}, {matchers: ['severity="high"']}]
"#;

    fn routing() -> Routing {
        let (documents, diagnostics) = Documents::from_texts([("routing.yaml", ROUTING)]);
        assert!(!diagnostics.has_errors());
        Catalog::build(documents, &mut Diagnostics::new())
            .response
            .routing
    }

    #[test]
    fn every_route_has_a_name_of_its_own_that_leads_back_to_it() {
        let routing = routing();
        let names: Vec<String> = routing.routes().into_iter().map(|named| named.name).collect();
        assert_eq!(
            names,
            [
                "root",
                r#"root > {cell="c1", team="shop"}"#,
                r#"root > {cell="c1", team="shop"} > {severity="critical"}"#,
                r#"root > {cell="c1", team="shop"} #2"#,
                r#"root > {team="bank"}"#,
                r#"root > {team="bank"} > {severity="critical"}"#,
                r#"root > {team="bank"} > {severity="high"}"#,
            ]
        );
        for named in routing.routes() {
            assert_eq!(routing.route_name(&named.path), named.name);
            assert_eq!(routing.find_route(&named.name), Ok(named));
        }
    }

    #[test]
    fn the_end_of_a_name_is_enough_where_no_other_ends_so() {
        let routing = routing();
        let found = |name: &str| routing.find_route(name).map(|named| named.path);
        assert_eq!(found(r#" {severity="high"} "#), Ok(vec![2, 1]));
        assert_eq!(found(r#"{cell="c1", team="shop"}"#), Ok(vec![0]));
        let ambiguous = found(r#"{severity="critical"}"#)
            .expect_err("two end so")
            .to_string();
        assert!(ambiguous.contains(r#"root > {team="bank"} > "#), "{ambiguous}");
        for none in ["", "roo", "critical", r#"="high"}"#] {
            assert_eq!(found(none), Err(RouteNameError::Unknown(none.to_owned())));
        }
    }

    #[test]
    fn a_route_is_within_those_above_it_and_no_other() {
        assert!(is_within("root > {a}", "root") && is_within("root", "root"));
        assert!(!is_within("root", "root > {a}") && !is_within("root > {a} #2", "root > {a}"));
    }
}
