//! Random templates of a grammar, rendered by amtool and by us.

use super::support::{Amtool, Dice, environment, ours, seed};

/// A word of an expression's type.
#[derive(Clone, Copy, PartialEq)]
enum Type {
    Text,
    Int,
    Bool,
    Strings,
    Any,
}

struct Writer {
    dice: Dice,
    /// Variables in scope, with their types.
    variables: Vec<(String, Type)>,
    ranges: usize,
    /// Whether the dot is an alert instead of the notification.
    in_alert: bool,
    names: usize,
}

impl Writer {
    /// Mostly what it says; now and then something else, so that refusals are compared too.
    fn expression(&mut self, kind: Type, depth: usize) -> String {
        let kind = match self.dice.roll(60) {
            0 => [Type::Text, Type::Int, Type::Bool, Type::Strings][self.dice.roll(4)],
            _ => kind,
        };
        if self.dice.roll(4) == 0
            && let Some(name) = self.variable(kind)
        {
            return name;
        }
        if depth == 0 {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        match kind {
            Type::Any => {
                let kind = [Type::Text, Type::Int, Type::Bool, Type::Strings][self.dice.roll(4)];
                self.expression(kind, depth)
            }
            Type::Text => match self.dice.roll(10) {
                0 => format!("(toUpper {})", self.expression(Type::Text, depth)),
                1 => format!("({} | toLower)", self.expression(Type::Text, depth)),
                2 => format!("({} | title)", self.expression(Type::Text, depth)),
                3 => format!(
                    "(join {} {})",
                    self.expression(Type::Text, 0),
                    self.expression(Type::Strings, depth)
                ),
                4 => format!(
                    "(reReplaceAll {} {} {})",
                    self.dice.pick(&[
                        "\"[aeiou]\"",
                        "`(\\w)-(\\w)`",
                        "`^.`",
                        "`\\s+|$`",
                        "\"(?i)s\"",
                        "`x*`"
                    ]),
                    self.dice.pick(&["\"\"", "\"<$0>\"", "`$2${1}`", "\"-\""]),
                    self.expression(Type::Text, depth)
                ),
                5 => self.printf(depth),
                6 => format!(
                    "(print {} {} {})",
                    self.expression(Type::Any, depth),
                    self.expression(Type::Any, depth),
                    self.expression(Type::Any, 0)
                ),
                7 => format!(
                    "({} {})",
                    self.dice.pick(&["html", "js", "urlquery", "print", "println"]),
                    self.expression(Type::Any, depth)
                ),
                8 => format!(
                    "(or {} {})",
                    self.expression(Type::Text, depth),
                    self.expression(Type::Text, depth)
                ),
                _ => format!(
                    "(slice {} {})",
                    self.expression(Type::Text, depth),
                    self.dice.roll(4)
                ),
            },
            Type::Int => match self.dice.roll(3) {
                0 => format!("(len {})", self.expression(Type::Text, depth)),
                1 => format!("({} | len)", self.expression(Type::Strings, depth)),
                _ => format!(
                    "(and {} {})",
                    self.expression(Type::Int, depth),
                    self.expression(Type::Int, depth)
                ),
            },
            Type::Bool => match self.dice.roll(5) {
                0 => format!("(not {})", self.expression(Type::Any, depth)),
                1 => format!(
                    "({} {} {})",
                    self.dice.pick(&["eq", "ne", "lt", "le", "gt", "ge"]),
                    self.expression(Type::Int, depth),
                    self.expression(Type::Int, depth)
                ),
                2 => format!(
                    "({} {} {})",
                    self.dice.pick(&["eq", "ne", "lt", "le", "gt", "ge"]),
                    self.expression(Type::Text, depth),
                    self.expression(Type::Text, depth)
                ),
                3 => format!("(match \"[a-f]\\\\d\" {})", self.expression(Type::Text, depth)),
                _ => format!(
                    "({} {} {})",
                    self.dice.pick(&["and", "or"]),
                    self.expression(Type::Bool, depth),
                    self.expression(Type::Bool, depth)
                ),
            },
            Type::Strings => match self.dice.roll(2) {
                0 => format!(
                    "(stringSlice {} {})",
                    self.expression(Type::Text, depth),
                    self.expression(Type::Text, 0)
                ),
                _ => self.leaf(Type::Strings),
            },
        }
    }

    fn printf(&mut self, depth: usize) -> String {
        let mut format = String::new();
        let mut arguments = String::new();
        for _ in 0..=self.dice.roll(3) {
            format.push_str(self.dice.pick(&["", " ", "x", "%%"]));
            let flag = self.dice.pick(&["", "", "", "0", "-", "+", " ", "#"]);
            let width = self.dice.pick(&["", "", "1", "5", "12"]);
            let precision = self.dice.pick(&["", "", "", ".0", ".2", "."]);
            let verb = self
                .dice
                .pick(&["d", "s", "v", "q", "x", "X", "t", "c", "o", "T", "U", "f", "z"]);
            format.push_str(&format!("%{flag}{width}{precision}{verb}"));
            arguments.push(' ');
            arguments.push_str(&self.expression(Type::Any, depth));
        }
        if self.dice.roll(10) == 0 {
            arguments.push_str(self.dice.pick(&[" 1", " nil", " 2.5"]));
        }
        format!("(printf \"{format}\"{arguments})")
    }

    fn variable(&mut self, kind: Type) -> Option<String> {
        let fitting: Vec<&str> = self
            .variables
            .iter()
            .filter(|(_, known)| kind == Type::Any || *known == kind)
            .map(|(name, _)| name.as_str())
            .collect();
        (!fitting.is_empty()).then(|| self.dice.pick(&fitting).to_owned())
    }

    fn leaf(&mut self, kind: Type) -> String {
        let leaves: &[&str] = match (kind, self.in_alert) {
            (Type::Text, false) => &[
                "\"a b\"",
                "`x-y`",
                "\"\"",
                "\"ünï €\"",
                ".Status",
                ".Receiver",
                ".ExternalURL",
                ".CommonLabels.team",
                ".GroupLabels.nope",
                "(index .CommonLabels \"zone\")",
                "(index .Alerts 1).Annotations.summary",
            ],
            (Type::Text, true) => &[
                "\"q\"",
                "`<&>`",
                ".Status",
                ".Fingerprint",
                ".GeneratorURL",
                ".Labels.alertname",
                ".Labels.zz",
                ".Annotations.description",
                "$.Receiver",
                "(.StartsAt.Format \"15:04 Jan 2\")",
            ],
            (Type::Int, false) => &[
                "0",
                "1",
                "3",
                "-7",
                "(len .Alerts)",
                "(len .GroupLabels)",
                "'a'",
                "0x10",
            ],
            (Type::Int, true) => &[
                "0",
                "2",
                "(len .Labels)",
                "(len .Annotations)",
                ".StartsAt.Unix",
                ".StartsAt.Day",
            ],
            (Type::Bool, false) => &["true", "false", "(eq .Status \"firing\")"],
            (Type::Bool, true) => &["true", "false", "(eq .Status \"firing\")", ".EndsAt.IsZero"],
            (Type::Strings, false) => &[
                ".GroupLabels.Names",
                ".CommonLabels.Values",
                "(.CommonLabels.Remove (stringSlice \"team\")).Names",
                "stringSlice",
            ],
            (Type::Strings, true) => &[
                ".Labels.Names",
                ".Labels.SortedPairs.Values",
                "$.GroupLabels.Values",
            ],
            (Type::Any, _) => &["1.5", "100.0", "true", "\"s\"", "2", "1e7", "$.Status"],
        };
        self.dice.pick(leaves).to_owned()
    }

    fn block(&mut self, depth: usize) -> String {
        let scope = self.variables.len();
        let text: String = (0..=self.dice.roll(3)).map(|_| self.node(depth)).collect();
        self.variables.truncate(scope);
        text
    }

    fn open(&mut self) -> &'static str {
        self.dice.pick(&["{{ ", "{{ ", "{{", "{{- "])
    }

    fn close(&mut self) -> &'static str {
        self.dice.pick(&[" }}", " }}", "}}", " -}}"])
    }

    fn action(&mut self, inner: &str) -> String {
        format!("{}{inner}{}", self.open(), self.close())
    }

    fn node(&mut self, depth: usize) -> String {
        if depth == 0 {
            let value = self.expression(Type::Any, 2);
            return self.action(&value);
        }
        let depth = depth - 1;
        match self.dice.roll(12) {
            0 | 1 => self
                .dice
                .pick(&["text", " \n", "  • ", "a<b>c", "\t", "ü ", "}} "])
                .to_owned(),
            2..=4 => {
                let value = self.expression(Type::Any, 3);
                self.action(&value)
            }
            5 => {
                let kind = [Type::Text, Type::Int, Type::Bool, Type::Strings][self.dice.roll(4)];
                let value = self.expression(kind, 2);
                self.names += 1;
                let name = format!("$v{}", self.names);
                let text = self.action(&format!("{name} := {value}"));
                self.variables.push((name, kind));
                text
            }
            6 => {
                let kind = [Type::Text, Type::Int][self.dice.roll(2)];
                match self.variable(kind) {
                    Some(name) if name.starts_with('$') => {
                        let value = self.expression(kind, 2);
                        self.action(&format!("{name} = {value}"))
                    }
                    _ => "{{/* nothing */}}".to_owned(),
                }
            }
            7 | 8 => {
                let condition = self.expression(Type::Any, 2);
                let mut text = self.action(&format!("if {condition}")) + &self.block(depth);
                if self.dice.roll(3) == 0 {
                    let condition = self.expression(Type::Bool, 1);
                    text += &(self.action(&format!("else if {condition}")) + &self.block(depth));
                }
                if self.dice.roll(2) == 0 {
                    text += &(self.action("else") + &self.block(depth));
                }
                text + &self.action("end")
            }
            9 if !self.in_alert => {
                let over = self.dice.pick(&[".Alerts", ".Alerts.Firing", ".Alerts.Resolved"]);
                let head = self.dice.pick(&["range ", "range $i, $a := ", "range $a := "]);
                self.ranges += 1;
                self.in_alert = true;
                let body = self.block(depth);
                let leave = self.leave();
                self.in_alert = false;
                self.ranges -= 1;
                self.action(&format!("{head}{over}")) + &body + &leave + &self.action("end")
            }
            9 | 10 => {
                let over = self.expression(Type::Strings, 1);
                self.names += 1;
                let (index, name) = (format!("$i{}", self.names), format!("$e{}", self.names));
                let head = self.action(&format!("range {index}, {name} := {over}"));
                let scope = self.variables.len();
                self.variables.push((index, Type::Int));
                self.variables.push((name, Type::Text));
                self.ranges += 1;
                // The dot is a string here: only what does not need it.
                let value = self.variable(Type::Any).unwrap_or_default();
                let body = self.action(&value) + &self.leave() + &self.action(".");
                self.ranges -= 1;
                self.variables.truncate(scope);
                head + &body + "{{ else }}none{{ end }}"
            }
            _ => {
                let value = self.expression(Type::Text, 1);
                let other = self.block(depth);
                self.action(&format!("with {value}")) + "[{{ . }}]{{ else }}" + &other + "{{ end }}"
            }
        }
    }

    fn leave(&mut self) -> String {
        let condition = self.variable(Type::Bool).unwrap_or_else(|| "true".to_owned());
        match self.dice.roll(6) {
            0 => format!("{{{{ if {condition} }}}}{{{{ break }}}}{{{{ end }}}}"),
            1 => format!("{{{{ if {condition} }}}}{{{{ continue }}}}{{{{ end }}}}"),
            _ => String::new(),
        }
    }
}

fn template(seed: u64) -> String {
    let mut writer = Writer {
        dice: Dice::new(seed),
        variables: Vec::new(),
        ranges: 0,
        in_alert: false,
        names: 0,
    };
    writer.block(3)
}

/// What cannot occur in a template here, between those of a batch.
const BETWEEN: &str = "\n\u{1}\n";

#[test]
fn random_templates_render_as_amtool_renders_them() {
    let Some(amtool) = Amtool::find() else { return };
    let seed = seed();
    let count: u64 = if environment("MAINSTAY_FULL").is_some_and(|full| full == "1") {
        20_000
    } else {
        2_000
    };
    println!("MAINSTAY_SEED={seed}, {count} templates");
    let html = |number: u64| number % 4 == 3;
    let (mut rendered, mut refused, mut unsupported) = (0, 0, 0);
    // Of those that we render, many go to one process; those that we refuse must be refused one by one.
    for kind in [false, true] {
        let mut batch: Vec<(String, String)> = Vec::new();
        for number in (0..count).filter(|&number| html(number) == kind) {
            let text = template(seed.wrapping_mul(1_000_003).wrapping_add(number));
            match ours(kind, &text, amtool.version) {
                Ok(result) => {
                    rendered += 1;
                    batch.push((text, result));
                }
                // What the crate says that it does not do.
                Err(error) if error.ends_with("is not supported") => unsupported += 1,
                Err(error) => {
                    refused += 1;
                    let theirs = amtool.render(kind, &text);
                    assert!(
                        theirs.is_err(),
                        "seed {seed}: {text:?}\n  ours   {error}\n  amtool {theirs:?}"
                    );
                }
            }
            if batch.len() == 40 {
                compare(&amtool, kind, seed, &std::mem::take(&mut batch));
            }
        }
        compare(&amtool, kind, seed, &batch);
    }
    println!("{rendered} rendered alike, {refused} refused by both, {unsupported} not supported");
    assert!(unsupported < count / 20, "{unsupported} not supported");
    assert!(
        rendered > count * 6 / 10 && refused > count / 50,
        "{rendered} rendered, {refused} refused"
    );
}

fn compare(amtool: &Amtool, html: bool, seed: u64, batch: &[(String, String)]) {
    // Trim markers at the edge of one must not reach into the next, nor its variables.
    let join = |texts: Vec<&str>| texts.join(BETWEEN);
    let text =
        join(batch.iter().map(|(text, _)| text.as_str()).collect()).replace(BETWEEN, "{{ \"\\n\\x01\\n\" }}");
    let expected = join(batch.iter().map(|(_, result)| result.as_str()).collect());
    if amtool.render(html, &text).is_ok_and(|theirs| theirs == expected) {
        return;
    }
    for (text, ours) in batch {
        let theirs = amtool.render(html, text);
        assert_eq!(theirs.as_ref(), Ok(ours), "seed {seed}: {text:?}");
    }
    panic!("seed {seed}: a batch differs, none of it alone does");
}
