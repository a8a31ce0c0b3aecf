//! The syntax tree. Every node knows where it stands in the query.

mod span;

use std::fmt;

use mainstay_kernel::Matcher;

use crate::function::Function;

pub use span::{Position, Span};

/// The type of an expression's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// A text.
    String,
    /// One sample per series.
    Vector,
    /// A window of samples per series.
    Matrix,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        })
    }
}

/// An expression and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// A number or a duration, in seconds.
    Number(f64),
    /// A text; PromQL texts are bytes.
    String(Vec<u8>),
    /// An instant vector selector.
    Selector(Selector),
    /// A range vector selector.
    Matrix {
        /// What is selected.
        selector: Selector,
        /// The width of the window.
        range: Duration,
    },
    /// An expression evaluated over a range.
    Subquery {
        /// What is evaluated.
        expr: Box<Expr>,
        /// The width of the window.
        range: Duration,
        /// Resolution; without it, the default of the query.
        step: Option<Duration>,
        /// Time shift.
        shift: Shift,
        /// Index of its data in the evaluator.
        leaf: usize,
    },
    /// A function call.
    Call {
        /// The function.
        function: &'static Function,
        /// Its arguments.
        args: Vec<Expr>,
    },
    /// An aggregation over series.
    Aggregate(Box<Aggregate>),
    /// A binary operation.
    Binary(Box<Binary>),
    /// A negation (a leading plus is dropped while parsing, but keeps its place in the span).
    Negate(Box<Expr>),
    /// A parenthesised expression.
    Paren(Box<Expr>),
}

/// A selection of series.
#[derive(Debug, Clone, PartialEq)]
pub struct Selector {
    /// All must hold.
    pub matchers: Vec<Matcher>,
    /// Time shift.
    pub shift: Shift,
    /// Whether it looks beyond its window.
    pub extension: Option<Extension>,
    /// Index of its data in the evaluator.
    pub leaf: usize,
}

/// How a selector looks beyond its window, by no more than the lookback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// The last sample before a window is the value at its left edge.
    Anchored,
    /// Values at the edges lie on straight lines between the samples around them.
    Smoothed,
}

impl Extension {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anchored => "anchored",
            Self::Smoothed => "smoothed",
        }
    }
}

/// `offset` and `@`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shift {
    /// How far into the past; negative looks ahead.
    pub offset: Option<Duration>,
    /// The fixed evaluation time.
    pub at: Option<At>,
}

/// The time of an `@` modifier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum At {
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
    /// `@ 1234.5`, in milliseconds since 1970.
    Millis(i64),
}

/// A duration; it may be an expression over the query's own step and range.
#[derive(Debug, Clone, PartialEq)]
pub enum Duration {
    /// Milliseconds.
    Millis(i64),
    /// An arithmetic expression in seconds, over numbers, `step()`, `range()`, `min_of` and `max_of`.
    Computed(Box<Expr>),
}

/// Aggregation operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as PromQL names them")]
pub enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    Quantile,
    CountValues,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    /// All of them, with their names.
    pub const ALL: [(&'static str, Self); 14] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("count", Self::Count),
        ("min", Self::Min),
        ("max", Self::Max),
        ("group", Self::Group),
        ("stddev", Self::Stddev),
        ("stdvar", Self::Stdvar),
        ("topk", Self::Topk),
        ("bottomk", Self::Bottomk),
        ("quantile", Self::Quantile),
        ("count_values", Self::CountValues),
        ("limitk", Self::Limitk),
        ("limit_ratio", Self::LimitRatio),
    ];

    /// The operator of this name, in any case of letters.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(text, _)| text.eq_ignore_ascii_case(name));
        found.map(|(_, op)| *op)
    }

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(_, op)| *op == self)
            .map_or("", |(name, _)| name)
    }

    /// The type of its parameter, if it takes one.
    #[must_use]
    pub fn parameter(self) -> Option<ValueType> {
        match self {
            Self::Topk | Self::Bottomk | Self::Quantile | Self::Limitk | Self::LimitRatio => {
                Some(ValueType::Scalar)
            }
            Self::CountValues => Some(ValueType::String),
            _ => None,
        }
    }
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// Its parameter.
    pub parameter: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// How series are grouped.
    pub grouping: Grouping,
}

/// Labels to group or to match by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grouping {
    /// `by (...)` or `on (...)`
    Keep(Vec<String>),
    /// `without (...)` or `ignoring (...)`
    Drop(Vec<String>),
}

/// Binary operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as PromQL names them")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    /// `</`: what a histogram observed below a value.
    TrimUpper,
    /// `>/`: what a histogram observed above a value.
    TrimLower,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterEqual,
    LessEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// Whether it compares.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        use BinaryOp::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        matches!(self, Equal | NotEqual | Greater | Less | GreaterEqual | LessEqual)
    }

    /// Whether it cuts off a part of a histogram.
    #[must_use]
    pub fn is_trim(self) -> bool {
        matches!(self, Self::TrimUpper | Self::TrimLower)
    }

    /// Whether it works on sets of series.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// As it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Greater => ">",
            Self::Less => "<",
            Self::GreaterEqual => ">=",
            Self::LessEqual => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }
}

/// A binary operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left operand.
    pub lhs: Expr,
    /// Right operand.
    pub rhs: Expr,
    /// `bool`: a comparison gives 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series of both sides find each other.
    pub matching: Matching,
}

/// Vector matching.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// The labels that must agree.
    pub labels: Grouping,
    /// How many series of each side may share them.
    pub cardinality: Cardinality,
    /// Labels copied from the one side to the many side.
    pub include: Vec<String>,
    /// `fill_left`: the value of a series missing on the left.
    pub fill_left: Option<f64>,
    /// `fill_right`: the value of a series missing on the right.
    pub fill_right: Option<f64>,
}

impl Default for Matching {
    fn default() -> Self {
        Self {
            labels: Grouping::Drop(Vec::new()),
            cardinality: Cardinality::OneToOne,
            include: Vec::new(),
            fill_left: None,
            fill_right: None,
        }
    }
}

/// How many series of each side may share a match group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    /// One of each.
    OneToOne,
    /// `group_left`
    ManyToOne,
    /// `group_right`
    OneToMany,
    /// Set operators.
    ManyToMany,
}

impl Expr {
    /// The type of its value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => ValueType::Matrix,
            ExprKind::Call { function, .. } => function.returns,
            ExprKind::Binary(binary) => {
                let scalars = [&binary.lhs, &binary.rhs]
                    .iter()
                    .all(|side| side.value_type() == ValueType::Scalar);
                if scalars {
                    ValueType::Scalar
                } else {
                    ValueType::Vector
                }
            }
            ExprKind::Negate(inner) | ExprKind::Paren(inner) => inner.value_type(),
        }
    }

    /// The expression inside any parentheses.
    #[must_use]
    pub fn unwrapped(&self) -> &Self {
        match &self.kind {
            ExprKind::Paren(inner) => inner.unwrapped(),
            _ => self,
        }
    }

    /// The expressions directly below.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Matrix { .. } => {
                Vec::new()
            }
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Paren(expr) => vec![expr],
            ExprKind::Call { args, .. } => args.iter().collect(),
            ExprKind::Aggregate(aggregate) => aggregate.parameter.iter().chain([&aggregate.expr]).collect(),
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        }
    }

    /// The expressions directly below, to be changed.
    pub(crate) fn children_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Matrix { .. } => {
                Vec::new()
            }
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Paren(expr) => vec![expr],
            ExprKind::Call { args, .. } => args.iter_mut().collect(),
            ExprKind::Aggregate(aggregate) => {
                let Aggregate { parameter, expr, .. } = &mut **aggregate;
                parameter.iter_mut().chain([expr]).collect()
            }
            ExprKind::Binary(binary) => {
                let Binary { lhs, rhs, .. } = &mut **binary;
                vec![lhs, rhs]
            }
        }
    }

    /// Whether `found` holds for this expression or for one below it.
    pub fn any(&self, found: &mut impl FnMut(&Self) -> bool) -> bool {
        found(self) || self.children().into_iter().any(|child| child.any(found))
    }

    /// Every selector in the expression, in the order of the text.
    #[must_use]
    pub fn selectors(&self) -> Vec<&Selector> {
        match &self.kind {
            ExprKind::Selector(selector) | ExprKind::Matrix { selector, .. } => vec![selector],
            _ => self.children().into_iter().flat_map(Self::selectors).collect(),
        }
    }
}
