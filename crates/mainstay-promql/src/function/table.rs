//! Every function, and what it gives.

use crate::ast::ValueType;

use super::{Function, Variadic};

const S: ValueType = ValueType::Scalar;
const T: ValueType = ValueType::String;
const V: ValueType = ValueType::Vector;
const M: ValueType = ValueType::Matrix;

/// Of native histograms: they have no part in it.
const OUT: &str = "left out";
/// Of native histograms in a window: numbers beside them are taken alone.
const ROUT: &str = "left out, with a remark where there are numbers beside them";
/// Of functions that take no samples.
const NONE: &str = "";

const fn function(
    name: &'static str,
    args: &'static [ValueType],
    returns: ValueType,
    floats: &'static str,
    histograms: &'static str,
) -> Function {
    Function {
        name,
        args,
        variadic: Variadic::No,
        returns,
        floats,
        histograms,
        is_experimental: false,
    }
}

/// Every function, in order of name.
pub static FUNCTIONS: &[Function] = &[
    function("abs", &[V], V, "the absolute value", OUT),
    function("absent", &[V], V, "1 if there is no sample, with the labels the selector asks for", "as numbers"),
    function("absent_over_time", &[M], V, "1 if no series has a sample in the window", "as numbers"),
    function("acos", &[V], V, "the arc cosine", OUT),
    function("acosh", &[V], V, "the inverse hyperbolic cosine", OUT),
    function("asin", &[V], V, "the arc sine", OUT),
    function("asinh", &[V], V, "the inverse hyperbolic sine", OUT),
    function("atan", &[V], V, "the arc tangent", OUT),
    function("atanh", &[V], V, "the inverse hyperbolic tangent", OUT),
    function("avg_over_time", &[M], V, "the mean", "the mean"),
    function("ceil", &[V], V, "rounded up to a whole number", OUT),
    function("changes", &[M], V, "how often the value changed", "how often the histogram changed"),
    function("clamp", &[V, S, S], V, "no less than the first and no more than the second scalar", OUT),
    function("clamp_max", &[V, S], V, "no more than the scalar", OUT),
    function("clamp_min", &[V, S], V, "no less than the scalar", OUT),
    function("cos", &[V], V, "the cosine", OUT),
    function("cosh", &[V], V, "the hyperbolic cosine", OUT),
    function("count_over_time", &[M], V, "the number of samples", "counted too"),
    function("day_of_month", &[V], V, "the day of the month of a time in seconds since 1970, 1 to 31; without an argument, of the time of evaluation", OUT).takes(Variadic::Optional),
    function("day_of_week", &[V], V, "its day of the week, 0 for Sunday", OUT).takes(Variadic::Optional),
    function("day_of_year", &[V], V, "its day of the year, 1 to 366", OUT).takes(Variadic::Optional),
    function("days_in_month", &[V], V, "the number of days of its month", OUT).takes(Variadic::Optional),
    function("deg", &[V], V, "radians to degrees", OUT),
    function("delta", &[M], V, "last less first value, extended to the edges of the window", "the same; for gauges"),
    function("deriv", &[M], V, "the slope per second of a straight line through the samples", ROUT),
    function("double_exponential_smoothing", &[M, S, S], V, "Holt's linear smoothing by a smoothing and a trend factor", ROUT).experimental(),
    function("end", &[], S, "the end of the query, in seconds since 1970", NONE).experimental(),
    function("exp", &[V], V, "the exponential", OUT),
    function("first_over_time", &[M], V, "the oldest value", "the oldest histogram"),
    function("floor", &[V], V, "rounded down to a whole number", OUT),
    function("histogram_avg", &[V], V, "left out", "the mean of the observations"),
    function("histogram_count", &[V], V, "left out", "the number of observations"),
    function("histogram_fraction", &[S, S, V], V, "the fraction of observations between two values, of classic histograms", "the same"),
    function("histogram_quantile", &[S, V], V, "a quantile of the observations, of classic histograms", "the same"),
    function("histogram_quantiles", &[V, T, S], V, "several quantiles of the observations, in a label", "the same").takes(Variadic::UpTo(10)).experimental(),
    function("histogram_stddev", &[V], V, "left out", "the standard deviation of the observations, estimated"),
    function("histogram_stdvar", &[V], V, "left out", "the variance of the observations, estimated"),
    function("histogram_sum", &[V], V, "left out", "the sum of the observations"),
    function("hour", &[V], V, "the hour of a time, 0 to 23", OUT).takes(Variadic::Optional),
    function("idelta", &[M], V, "the difference of the last two samples", "the same; for gauges"),
    function("increase", &[M], V, "how much a counter rose, extended to the edges of the window", "the same"),
    function("info", &[V, V], V, "the samples with the labels of info metrics of the same target", "the same").takes(Variadic::Optional).experimental(),
    function("irate", &[M], V, "the increase per second between the last two samples", "the same"),
    function("label_join", &[V, T, T, T], V, "a label set to other labels, joined", "the same").takes(Variadic::Any),
    function("label_replace", &[V, T, T, T, T], V, "a label set from a regular expression over another", "the same"),
    function("last_over_time", &[M], V, "the newest value", "the newest histogram"),
    function("ln", &[V], V, "the natural logarithm", OUT),
    function("log10", &[V], V, "the decimal logarithm", OUT),
    function("log2", &[V], V, "the binary logarithm", OUT),
    function("mad_over_time", &[M], V, "the median distance from the median", ROUT).experimental(),
    function("max_of", &[S, S], S, "the larger of two scalars", NONE).experimental(),
    function("max_over_time", &[M], V, "the largest value", ROUT),
    function("min_of", &[S, S], S, "the smaller of two scalars", NONE).experimental(),
    function("min_over_time", &[M], V, "the smallest value", ROUT),
    function("minute", &[V], V, "the minute of a time, 0 to 59", OUT).takes(Variadic::Optional),
    function("month", &[V], V, "the month of a time, 1 to 12", OUT).takes(Variadic::Optional),
    function("pi", &[], S, "pi", NONE),
    function("predict_linear", &[M, S], V, "where a straight line through the samples is so many seconds later", ROUT),
    function("present_over_time", &[M], V, "1 where there is a sample", "as numbers"),
    function("quantile_over_time", &[S, M], V, "a quantile of the values", ROUT),
    function("rad", &[V], V, "degrees to radians", OUT),
    function("range", &[], S, "the length of the query, in seconds", NONE).experimental(),
    function("rate", &[M], V, "the increase per second, extended to the edges of the window", "the same"),
    function("resets", &[M], V, "how often a counter began anew", "the same"),
    function("round", &[V, S], V, "rounded to the nearest multiple of the scalar, or of 1", OUT).takes(Variadic::Optional),
    function("scalar", &[V], S, "the value of the only sample that is a number, or NaN", OUT),
    function("sgn", &[V], V, "the sign: -1, 0 or 1", OUT),
    function("sin", &[V], V, "the sine", OUT),
    function("sinh", &[V], V, "the hyperbolic sine", OUT),
    function("sort", &[V], V, "in order of value", OUT),
    function("sort_by_label", &[V, T], V, "in order of labels", "the same").takes(Variadic::Any).experimental(),
    function("sort_by_label_desc", &[V, T], V, "in reverse order of labels", "the same").takes(Variadic::Any).experimental(),
    function("sort_desc", &[V], V, "in reverse order of value", OUT),
    function("sqrt", &[V], V, "the square root", OUT),
    function("start", &[], S, "the start of the query, in seconds since 1970", NONE).experimental(),
    function("start_timestamp", &[V], V, "when the count that a sample goes on with began, in seconds since 1970", "the same").experimental(),
    function("stddev_over_time", &[M], V, "the standard deviation", ROUT),
    function("stdvar_over_time", &[M], V, "the variance", ROUT),
    function("step", &[], S, "the step of the query, in seconds", NONE).experimental(),
    function("sum_over_time", &[M], V, "the sum", "the sum"),
    function("tan", &[V], V, "the tangent", OUT),
    function("tanh", &[V], V, "the hyperbolic tangent", OUT),
    function("time", &[], S, "the time of evaluation, in seconds since 1970", NONE),
    function("timestamp", &[V], V, "the time of the sample, in seconds since 1970", "the same"),
    function("ts_of_first_over_time", &[M], V, "the time of the oldest sample", "as numbers").experimental(),
    function("ts_of_last_over_time", &[M], V, "the time of the newest sample", "as numbers").experimental(),
    function("ts_of_max_over_time", &[M], V, "the time of the last largest value", ROUT).experimental(),
    function("ts_of_min_over_time", &[M], V, "the time of the last smallest value", ROUT).experimental(),
    function("vector", &[S], V, "a sample without labels", NONE),
    function("year", &[V], V, "the year of a time", OUT).takes(Variadic::Optional),
];
