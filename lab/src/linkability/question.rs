//! What is guessed: of each payment of one kind, where the credits came from that paid it.

/// How credits come into a purse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By a top-up.
    TopUp,
    /// By a payment that went back.
    Refund,
    /// By a session that was closed.
    Close,
}

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bought {
    /// A page.
    Page,
    /// A pass.
    Pass,
    /// What is asked back later.
    Goods,
    /// A session.
    Session,
}

/// Which of the sources has paid for each of those that were bought?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where credits came from.
    pub source: Source,
    /// What they paid.
    pub bought: Bought,
}

impl Question {
    /// In words.
    pub const fn words(self) -> &'static str {
        match (self.source, self.bought) {
            (Source::TopUp, Bought::Pass) => "a pass: which top-up",
            (Source::TopUp, Bought::Goods) => "a refunded payment: which top-up",
            (Source::TopUp, Bought::Session) => "a session: which top-up",
            (Source::TopUp, Bought::Page) => "a page: which top-up",
            (Source::Refund, _) => "refunded credits: which refund",
            (Source::Close, _) => "credits of a session: which closing",
        }
    }
}
