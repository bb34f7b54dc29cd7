//! Audits an issuer: reads its statements of what it owes and the lists behind them, makes the trees again, and looks for
//! the wallet's own credits in them. Whole lists are fetched, so no request tells which credits are the wallet's.

use std::collections::{BTreeMap, BTreeSet};

use farthing_money::{Span, Timestamp};
use farthing_wire::json;
use farthing_wire::liabilities::{LeafPage, PATH, Statement, StatementPage};
use serde_json::json;

use super::{Flow, answer_of, done};
use crate::address::Address;
use crate::audit::{AuditReport, Audited, CheckedKeyset, Finding, FindingKind, Signed};
use crate::audit_history::{History, finding};
use crate::audit_lists::Lists;
use crate::credit::Credit;
use crate::error::WalletError;
use crate::http::{Event, HttpRequest, HttpResponse, Step};
use crate::merchant::Signer;
use crate::outcome::Outcome;
use crate::vault::{Change, Row};
use crate::wallet::Wallet;

/// No honest issuer has more statements than this.
const STATEMENTS_MAX: usize = 1_000_000;
/// How often a busy issuer is asked for one page.
const TRIES_MAX: u32 = 20;
/// A newest statement that is older than this is told of.
const STALE: Span = Span::from_secs(8 * 86_400);

/// An audit of one issuer.
pub struct AuditFlow {
    issuer: Address,
    is_full: bool,
    stage: Stage,
    report: AuditReport,
    /// The last request, and how often it was sent.
    asked: Option<(HttpRequest, u32)>,
}

enum Stage {
    Start,
    Statements { texts: Vec<String>, after: Option<String> },
    Lists { lists: Box<Lists>, waiting: Vec<Lists> },
    Over,
}

impl AuditFlow {
    /// An audit of the issuer at an address. A full one fetches the lists of all keysets, not only of those that the
    /// wallet has used, and checks them against every statement, not only against the one that was seen last.
    pub fn new(url: &str, is_full: bool) -> Result<Self, WalletError> {
        let issuer = Address::safe(url.trim())?;
        let report = AuditReport {
            issuer: issuer.origin(),
            key: None,
            is_key_known: false,
            at: Timestamp::default(),
            keysets: Vec::new(),
            uncovered: BTreeMap::new(),
            findings: Vec::new(),
            notes: Vec::new(),
        };
        Ok(Self { issuer, is_full, stage: Stage::Start, report, asked: None })
    }

    fn origin(&self) -> &str {
        &self.report.issuer
    }

    fn ask(&mut self, request: HttpRequest) -> Step {
        self.asked = Some((request.clone(), 1));
        Step::Send(request)
    }

    /// Whoever is busy is asked again, a little later.
    fn again(&mut self, event: &Event) -> Option<Step> {
        let (request, tries) = self.asked.as_mut()?;
        match event {
            Event::Go => Some(Step::Send(request.clone())),
            Event::Answer(answer) if matches!(answer.status, 429 | 503) && *tries < TRIES_MAX => {
                *tries = tries.saturating_add(1);
                Some(Step::Wait(answer.retry_after()))
            }
            _ => None,
        }
    }

    fn ask_statements(&mut self, texts: Vec<String>, after: Option<String>) -> Step {
        let query = after.as_ref().map(|after| format!("?after={after}")).unwrap_or_default();
        let request = HttpRequest::get(format!("{}{PATH}{query}", self.origin()));
        self.stage = Stage::Statements { texts, after };
        self.ask(request)
    }

    fn statements(
        &mut self,
        wallet: &mut Wallet,
        mut texts: Vec<String>,
        after: Option<&str>,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        if answer.status == 404 && after.is_none() {
            if wallet.state.audits.contains_key(self.origin()) {
                // There were statements before: now that they are gone, each of them is missed.
                return self.judge_history(wallet, &texts, now);
            }
            return Err(WalletError::NoStatements(self.origin().to_owned()));
        }
        let page: StatementPage = self.page(answer, "a page of statements")?;
        texts.extend(page.statements);
        let Some(next) = page.next else { return self.judge_history(wallet, &texts, now) };
        let goes_on = after.is_none_or(|after| next.as_str() > after)
            && next.len() <= 128
            && next.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if goes_on && texts.len() < STATEMENTS_MAX {
            return Ok(self.ask_statements(texts, Some(next)));
        }
        Err(WalletError::bad_answer(self.origin(), "pages of statements that come to an end", "others"))
    }

    fn page<T: serde::de::DeserializeOwned>(
        &self,
        answer: &HttpResponse,
        expected: &'static str,
    ) -> Result<T, WalletError> {
        if answer.status != 200 {
            return Err(WalletError::bad_answer(
                self.origin(),
                expected,
                format!("status {}", answer.status),
            ));
        }
        let page = json::read(&answer.body, expected);
        page.map_err(|error| WalletError::bad_answer(self.origin(), expected, error.to_string()))
    }

    /// All statements are here: they must be one history. Then come the lists.
    fn judge_history(
        &mut self,
        wallet: &mut Wallet,
        texts: &[String],
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        let before = wallet.state.audits.get(self.origin());
        let signer = wallet.state.signers.get(&self.issuer.host());
        let known = before.map(|before| &before.key).or(signer.map(|signer| &signer.key));
        let mut history = History::read(texts, known.map(String::as_str), before);
        (self.report.at, self.report.is_key_known) = (now, known.is_some());
        self.report.key = history.key.take();
        self.report.findings.append(&mut history.findings);
        if let (Some(before), Some(signer)) = (before, signer)
            && before.key != signer.key
        {
            self.report.notes.push(format!(
                "receipts of {} are signed by the key {}, statements by {}; ask it why",
                signer.host, signer.key, before.key
            ));
        }
        self.note_age(&history, now);
        let mints = self.mints(wallet);
        self.find_uncovered(wallet, &history, &mints, now);
        let used = used_keysets(wallet, &mints);
        let mut waiting = Vec::new();
        for (keyset, statements) in std::mem::take(&mut history.keysets).into_iter().rev() {
            let Some(newest) = statements.last().cloned() else { continue };
            self.report.keysets.push(CheckedKeyset {
                statement: newest.statement.clone(),
                text: newest.text.clone(),
                statements: statements.len(),
                own: None,
            });
            if !self.is_full && !used.contains(&keyset) {
                continue;
            }
            let seen = before.and_then(|before| before.heads.get(&keyset));
            let earlier = |signed: &Signed| {
                signed.statement.epoch < newest.statement.epoch
                    && (self.is_full || Some(&signed.text) == seen)
            };
            let earlier: Vec<Signed> = statements.iter().filter(|signed| earlier(signed)).cloned().collect();
            waiting.push(Lists::new(wallet, newest, earlier, &mints)?);
        }
        self.report.keysets.reverse();
        self.find_left_behind(wallet, now);
        self.next_lists(wallet, waiting, now)
    }

    fn note_age(&mut self, history: &History, now: Timestamp) {
        let newest = history.keysets.values().filter_map(|statements| statements.last());
        let closed = newest.map(|signed| signed.statement.closed_at).max();
        match closed {
            None => self.report.notes.push("there is no statement yet".to_owned()),
            Some(closed) if closed > now.after(STALE) => {
                self.report.notes.push(format!("the newest statement is dated {closed}, in the future"));
            }
            Some(closed) if closed.after(STALE) < now => {
                self.report.notes.push(format!("the newest statement is old: of {closed}"));
            }
            Some(_) => {}
        }
    }

    /// The mints of the wallet that are this issuer.
    fn mints(&self, wallet: &Wallet) -> Vec<String> {
        let here = |url: &&String| url.parse::<Address>().is_ok_and(|url| url.origin() == self.origin());
        let known = wallet.state.mints.keys().chain(wallet.state.credits.values().map(|credit| &credit.mint));
        let mints: BTreeSet<&String> = known.filter(here).collect();
        mints.into_iter().cloned().collect()
    }

    /// Credits whose keyset no statement tells of: new ones, or hidden ones.
    fn find_uncovered(&mut self, wallet: &Wallet, history: &History, mints: &[String], now: Timestamp) {
        let opened = history.keysets.values().filter_map(|statements| statements.last());
        let opened = opened.map(|signed| signed.statement.opened_at).max();
        let mut hidden: BTreeSet<String> = BTreeSet::new();
        for credit in wallet.state.credits.values() {
            let keyset = credit.proof.id.to_string();
            if !mints.contains(&credit.mint) || history.keysets.contains_key(&keyset) {
                continue;
            }
            let unit = credit.unit;
            self.report.uncovered.entry(unit).or_default().add(credit.amount());
            let is_old = credit
                .since
                .zip(opened)
                .is_some_and(|(since, opened)| since.after(Span::from_secs(3_600)) < opened);
            if is_old && !is_known_expired(wallet, &keyset, now).unwrap_or_default() {
                hidden.insert(keyset);
            }
        }
        let texts: Vec<&str> = history
            .keysets
            .values()
            .filter_map(|statements| statements.last())
            .map(|signed| signed.text.as_str())
            .collect();
        for keyset in hidden {
            self.report.findings.push(Finding {
                kind: FindingKind::Keyset,
                message: format!("the keyset {keyset}, of which this wallet has credits, is in no statement"),
                keyset: Some(keyset),
                epoch: None,
                evidence: json!({ "newest": texts }),
            });
        }
    }

    /// Begins with the lists of the next keyset, or ends.
    fn next_lists(
        &mut self,
        wallet: &mut Wallet,
        mut waiting: Vec<Lists>,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        match waiting.pop() {
            Some(lists) => Ok(self.ask_leaves(Box::new(lists), waiting)),
            None => self.finish(wallet, now),
        }
    }

    fn ask_leaves(&mut self, lists: Box<Lists>, waiting: Vec<Lists>) -> Step {
        let request = HttpRequest::get(format!("{}{PATH}{}", self.origin(), lists.next_path()));
        self.stage = Stage::Lists { lists, waiting };
        self.ask(request)
    }

    fn leaves(
        &mut self,
        wallet: &mut Wallet,
        mut lists: Box<Lists>,
        waiting: Vec<Lists>,
        answer: &HttpResponse,
        now: Timestamp,
    ) -> Result<Step, WalletError> {
        if answer.status == 410 {
            self.refused(wallet, &lists, now);
            return self.next_lists(wallet, waiting, now);
        }
        let page: LeafPage = self.page(answer, "a page of a list")?;
        if lists.take(&page) {
            return Ok(self.ask_leaves(lists, waiting));
        }
        let own = lists.judge(wallet);
        let keyset = &lists.newest.statement.keyset;
        if let Some(checked) = self.report.keysets.iter_mut().find(|one| one.statement.keyset == *keyset) {
            checked.own = Some(own);
        }
        self.report.findings.append(&mut lists.findings);
        self.next_lists(wallet, waiting, now)
    }

    /// The lists of a keyset are gone. Of one that has expired that is as it should be.
    fn refused(&mut self, wallet: &Wallet, lists: &Lists, now: Timestamp) {
        let statement = &lists.newest.statement;
        let keyset = &statement.keyset;
        if has_expired(wallet, statement, now) {
            let note = format!("the keyset {keyset} has expired; its lists are no longer shown");
            self.report.notes.push(note);
            return;
        }
        let message = "its lists are said to be gone, but it has not expired".to_owned();
        let evidence = json!({ "statement": lists.newest.text });
        self.report.findings.push(finding(FindingKind::List, statement, message, evidence));
    }

    /// A keyset that has fallen behind hides what came after its last statement.
    fn find_left_behind(&mut self, wallet: &Wallet, now: Timestamp) {
        let newest = self.report.keysets.iter().map(|checked| checked.statement.epoch).max();
        let Some(newest) = newest else { return };
        for checked in &self.report.keysets {
            let statement = &checked.statement;
            // Those of one epoch come one after another: the last may be on its way.
            if statement.epoch.saturating_add(1) >= newest || has_expired(wallet, statement, now) {
                continue;
            }
            let epoch = statement.epoch;
            let message =
                format!("there are statements of epoch {newest}, of this keyset only until {epoch}");
            let evidence = json!({ "statement": checked.text });
            let finding = finding(FindingKind::Keyset, statement, message, evidence);
            self.report.findings.push(finding);
        }
    }

    /// Writes down what was seen. What contradicts what was seen before is not taken over: it stays an open contradiction.
    fn finish(&mut self, wallet: &mut Wallet, now: Timestamp) -> Result<Step, WalletError> {
        (self.stage, self.asked) = (Stage::Over, None);
        let mut changes = Vec::new();
        if let Some(key) = &self.report.key
            && self.report.findings.is_empty()
        {
            let host = self.issuer.host();
            if !wallet.state.signers.contains_key(&host) {
                changes.push(Change::Put(Row::Signer(Signer { host, key: key.clone() })));
            }
            changes.push(Change::Put(Row::Audited(Box::new(self.audited(wallet, key)))));
        }
        let mints = self.mints(wallet);
        let undated = wallet.state.credits.values().filter(|credit| credit.since.is_none());
        let undated = undated.filter(|credit| mints.contains(&credit.mint));
        let dated = undated.map(|credit| Credit { since: Some(now), ..credit.clone() });
        changes.extend(dated.map(|credit| Change::Put(Row::Credit(Box::new(credit)))));
        wallet.commit(changes)?;
        Ok(done(Outcome::Audited(Box::new(self.report.clone()))))
    }

    fn audited(&self, wallet: &Wallet, key: &str) -> Audited {
        let before = wallet.state.audits.get(self.origin());
        let mut heads = before.map(|before| before.heads.clone()).unwrap_or_default();
        let newest = |checked: &CheckedKeyset| (checked.statement.keyset.clone(), checked.text.clone());
        heads.extend(self.report.keysets.iter().map(newest));
        Audited { issuer: self.origin().to_owned(), key: key.to_owned(), heads }
    }
}

/// Whether credits of a keyset are worth nothing any more, by what the wallet was told when it took them, or else by the
/// keyset's statement.
fn has_expired(wallet: &Wallet, statement: &Statement, now: Timestamp) -> bool {
    let stated = || statement.final_expiry.is_some_and(|end| end <= now);
    is_known_expired(wallet, &statement.keyset, now).unwrap_or_else(stated)
}

/// The same, if the wallet knows the keyset.
fn is_known_expired(wallet: &Wallet, keyset: &str, now: Timestamp) -> Option<bool> {
    let mut infos = wallet.state.mints.values().flat_map(|mint| &mint.keysets);
    let info = infos.find(|info| info.id.to_string() == keyset)?;
    Some(info.final_expiry.is_some_and(|end| end > 0 && end <= now.secs()))
}

/// The keysets that the wallet has or had credits of.
fn used_keysets(wallet: &Wallet, mints: &[String]) -> BTreeSet<String> {
    let credits = wallet.state.credits.values().filter(|credit| mints.contains(&credit.mint));
    let listed = mints.iter().filter_map(|mint| wallet.state.mints.get(mint)).flat_map(|mint| &mint.keysets);
    let counted = listed.map(|info| info.id).filter(|id| wallet.state.counters.contains_key(id));
    credits.map(|credit| credit.proof.id).chain(counted).map(|id| id.to_string()).collect()
}

impl Flow for AuditFlow {
    fn next(&mut self, wallet: &mut Wallet, event: Event, now: Timestamp) -> Result<Step, WalletError> {
        if let Some(step) = self.again(&event) {
            return Ok(step);
        }
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Start => Ok(self.ask_statements(Vec::new(), None)),
            Stage::Statements { texts, after } => {
                let answer = answer_of(self.origin(), event)?;
                self.statements(wallet, texts, after.as_deref(), &answer, now)
            }
            Stage::Lists { lists, waiting } => {
                let answer = answer_of(self.origin(), event)?;
                self.leaves(wallet, lists, waiting, &answer, now)
            }
            Stage::Over => Err(WalletError::Misuse("no more events")),
        }
    }
}
