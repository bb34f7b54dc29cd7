//! Passes that a request shows, a few at once. Which of them open what is asked for, and of which bundles all uses are taken, only the
//! gate knows. So before anything is paid, others of the plans that its 402 names are shown.

use farthing_money::Timestamp;
use farthing_wire::header::{FARTHING_FARE, FARTHING_PASS};
use farthing_wire::pass::plan_scope;
use farthing_wire::{PASSES_PATH, Problem, json};

use super::PayFlow;
use crate::http::{HttpRequest, HttpResponse};
use crate::merchant::StoredPass;
use crate::wallet::Wallet;

/// More passes than this are not shown at once.
const PASSES_MAX: usize = 4;
/// More than this are not shown before something is paid for.
const ALL_MAX: usize = 16;

/// The scopes of the passes that a 402 names: each would open what was asked for.
fn named(answer: &HttpResponse) -> Vec<String> {
    let problem = json::read::<Problem>(&answer.body, "a problem").unwrap_or_default();
    let named = problem.extra.get("passes").and_then(|passes| passes.as_array()).into_iter().flatten();
    named.filter_map(|pass| pass.get("name")?.as_str()).map(plan_scope).collect()
}

impl PayFlow {
    /// Whether a pass opens it.
    pub(super) fn shows_passes(&self) -> bool {
        matches!(self.request.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// The request that asks, and whether it shows passes.
    pub(super) fn asking(&mut self, wallet: &Wallet, now: Timestamp) -> (HttpRequest, bool) {
        // What changes things is repeated with its own credential only.
        let passes = if self.shows_passes() { wallet.passes(&self.address, now) } else { Vec::new() };
        self.tried.clear();
        self.with_passes(passes.into_iter())
    }

    /// The request with passes that were not shown before, if a 402 names their plan. Those that end last come first: of bundles they were
    /// bought last.
    pub(super) fn asking_again(
        &mut self,
        wallet: &Wallet,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Option<HttpRequest> {
        if self.address.path().starts_with(PASSES_PATH) || self.tried.len() >= ALL_MAX {
            return None;
        }
        let (named, tried) = (named(answer), self.tried.clone());
        let is_other = |pass: &&StoredPass| named.contains(&pass.scope) && !tried.contains(&pass.pass);
        let others = wallet.passes(&self.address, now).into_iter().rev().filter(is_other);
        let (request, shows) = self.with_passes(others);
        shows.then_some(request)
    }

    fn with_passes<'w>(&mut self, passes: impl Iterator<Item = &'w StoredPass>) -> (HttpRequest, bool) {
        let mut request = self.plain_request();
        request.headers.extend(self.shown.iter().filter(|(name, _)| name == FARTHING_FARE).cloned());
        let before = self.tried.len();
        self.tried.extend(passes.take(PASSES_MAX).map(|pass| pass.pass.clone()));
        let fresh = self.tried.iter().skip(before);
        request.headers.extend(fresh.map(|pass| (FARTHING_PASS.to_owned(), pass.clone())));
        (request, self.tried.len() > before)
    }
}
