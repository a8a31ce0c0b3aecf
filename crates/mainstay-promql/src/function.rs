//! The functions of Prometheus 3 and what they take.

mod table;

pub use table::FUNCTIONS;

use crate::ast::ValueType;

/// A function's signature.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// The types of its arguments; the last one is repeated or optional as `variadic` says.
    pub args: &'static [ValueType],
    /// How the last argument may vary.
    pub variadic: Variadic,
    /// The type of its value.
    pub returns: ValueType,
    /// What it gives for numbers.
    pub floats: &'static str,
    /// What it gives for native histograms.
    pub histograms: &'static str,
    /// Whether Prometheus calls it experimental.
    pub is_experimental: bool,
}

/// How many times the last argument may be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variadic {
    /// Exactly once.
    No,
    /// At most once.
    Optional,
    /// Any number of times, even none.
    Any,
    /// At least once, at most so many times.
    UpTo(usize),
}

impl Function {
    /// The function of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        /// These are keywords of durations and of `@`, and keywords may be written in any case.
        const KEYWORDS: [&str; 4] = ["start", "end", "step", "range"];
        let is_named = |function: &&Self| {
            function.name == name
                || (KEYWORDS.contains(&function.name) && function.name.eq_ignore_ascii_case(name))
        };
        FUNCTIONS.iter().find(is_named)
    }

    /// How many arguments there may be.
    #[must_use]
    pub fn arity(&self) -> std::ops::RangeInclusive<usize> {
        let count = self.args.len();
        match self.variadic {
            Variadic::No => count..=count,
            Variadic::Optional => count - 1..=count,
            Variadic::Any => count - 1..=usize::MAX,
            Variadic::UpTo(most) => count..=count - 1 + most,
        }
    }

    /// The type of the argument at `index`.
    #[must_use]
    pub fn argument(&self, index: usize) -> ValueType {
        self.args[index.min(self.args.len() - 1)]
    }

    /// How it is written, with the types of its arguments: `round(instant vector, scalar?)`.
    #[must_use]
    pub fn signature(&self) -> String {
        let last = self.args.len().saturating_sub(1);
        let args: Vec<String> = self
            .args
            .iter()
            .enumerate()
            .map(|(index, arg)| match self.variadic {
                _ if index < last => arg.to_string(),
                Variadic::No => arg.to_string(),
                Variadic::Optional => format!("{arg}?"),
                Variadic::Any => format!("{arg}..."),
                Variadic::UpTo(most) => format!("{arg}, up to {most}"),
            })
            .collect();
        format!("{}({})", self.name, args.join(", "))
    }

    const fn takes(mut self, variadic: Variadic) -> Self {
        self.variadic = variadic;
        self
    }

    const fn experimental(mut self) -> Self {
        self.is_experimental = true;
        self
    }
}

/// All functions as a Markdown table.
#[must_use]
pub fn markdown_table() -> String {
    let mut text = String::from("| function | of numbers | of native histograms |\n|---|---|---|\n");
    for function in FUNCTIONS {
        let mark = if function.is_experimental {
            " (experimental)"
        } else {
            ""
        };
        text.push_str(&format!(
            "| `{}`{mark} | {} | {} |\n",
            function.signature(),
            function.floats,
            function.histograms
        ));
    }
    text
}
