//! The functions of Prometheus 3 and what they take.

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

    /// Whether it means something only for native histograms.
    #[must_use]
    pub fn is_native_histogram_only(&self) -> bool {
        let names = [
            "histogram_count",
            "histogram_sum",
            "histogram_avg",
            "histogram_stddev",
            "histogram_stdvar",
        ];
        names.contains(&self.name)
    }
}

const S: ValueType = ValueType::Scalar;
const T: ValueType = ValueType::String;
const V: ValueType = ValueType::Vector;
const M: ValueType = ValueType::Matrix;

const fn function(name: &'static str, args: &'static [ValueType], returns: ValueType) -> Function {
    Function {
        name,
        args,
        variadic: Variadic::No,
        returns,
    }
}

const fn variadic(name: &'static str, args: &'static [ValueType], variadic: Variadic) -> Function {
    Function {
        name,
        args,
        variadic,
        returns: V,
    }
}

/// Every function, in order of name.
pub static FUNCTIONS: &[Function] = &[
    function("abs", &[V], V),
    function("absent", &[V], V),
    function("absent_over_time", &[M], V),
    function("acos", &[V], V),
    function("acosh", &[V], V),
    function("asin", &[V], V),
    function("asinh", &[V], V),
    function("atan", &[V], V),
    function("atanh", &[V], V),
    function("avg_over_time", &[M], V),
    function("ceil", &[V], V),
    function("changes", &[M], V),
    function("clamp", &[V, S, S], V),
    function("clamp_max", &[V, S], V),
    function("clamp_min", &[V, S], V),
    function("cos", &[V], V),
    function("cosh", &[V], V),
    function("count_over_time", &[M], V),
    variadic("day_of_month", &[V], Variadic::Optional),
    variadic("day_of_week", &[V], Variadic::Optional),
    variadic("day_of_year", &[V], Variadic::Optional),
    variadic("days_in_month", &[V], Variadic::Optional),
    function("deg", &[V], V),
    function("delta", &[M], V),
    function("deriv", &[M], V),
    function("double_exponential_smoothing", &[M, S, S], V),
    function("end", &[], S),
    function("exp", &[V], V),
    function("first_over_time", &[M], V),
    function("floor", &[V], V),
    function("histogram_avg", &[V], V),
    function("histogram_count", &[V], V),
    function("histogram_fraction", &[S, S, V], V),
    function("histogram_quantile", &[S, V], V),
    variadic("histogram_quantiles", &[V, T, S], Variadic::UpTo(10)),
    function("histogram_stddev", &[V], V),
    function("histogram_stdvar", &[V], V),
    function("histogram_sum", &[V], V),
    variadic("hour", &[V], Variadic::Optional),
    function("idelta", &[M], V),
    function("increase", &[M], V),
    variadic("info", &[V, V], Variadic::Optional),
    function("irate", &[M], V),
    variadic("label_join", &[V, T, T, T], Variadic::Any),
    function("label_replace", &[V, T, T, T, T], V),
    function("last_over_time", &[M], V),
    function("ln", &[V], V),
    function("log10", &[V], V),
    function("log2", &[V], V),
    function("mad_over_time", &[M], V),
    function("max_of", &[S, S], S),
    function("max_over_time", &[M], V),
    function("min_of", &[S, S], S),
    function("min_over_time", &[M], V),
    variadic("minute", &[V], Variadic::Optional),
    variadic("month", &[V], Variadic::Optional),
    function("pi", &[], S),
    function("predict_linear", &[M, S], V),
    function("present_over_time", &[M], V),
    function("quantile_over_time", &[S, M], V),
    function("rad", &[V], V),
    function("range", &[], S),
    function("rate", &[M], V),
    function("resets", &[M], V),
    variadic("round", &[V, S], Variadic::Optional),
    function("scalar", &[V], S),
    function("sgn", &[V], V),
    function("sin", &[V], V),
    function("sinh", &[V], V),
    function("sort", &[V], V),
    variadic("sort_by_label", &[V, T], Variadic::Any),
    variadic("sort_by_label_desc", &[V, T], Variadic::Any),
    function("sort_desc", &[V], V),
    function("sqrt", &[V], V),
    function("start", &[], S),
    function("stddev_over_time", &[M], V),
    function("stdvar_over_time", &[M], V),
    function("step", &[], S),
    function("sum_over_time", &[M], V),
    function("tan", &[V], V),
    function("tanh", &[V], V),
    function("time", &[], S),
    function("timestamp", &[V], V),
    function("ts_of_first_over_time", &[M], V),
    function("ts_of_last_over_time", &[M], V),
    function("ts_of_max_over_time", &[M], V),
    function("ts_of_min_over_time", &[M], V),
    function("vector", &[S], V),
    variadic("year", &[V], Variadic::Optional),
];
