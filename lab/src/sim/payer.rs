//! A payer with the real wallet: one operation at a time, one request a step. Its program can be killed between any two
//! requests and at any commit, and is started again on what was durable.

use farthing_ecash::PublicKey;
use farthing_engine::{CreditId, OutputId, PaymentId};
use farthing_money::{Amount, Asset, Timestamp, Unit};
use farthing_wallet::{
    AttemptKind, Event, Flow, HttpRequest, Limits, Outcome, PayFlow, PayRequest, ReceiveFlow, ReclaimFlow,
    RecoverFlow, RedeemFlow, RestoreFlow, Scope, SealingEntropy, Seed, SendFlow, Step, Unlock, Wallet,
    WalletError,
};
use farthing_wire::mpp::credit::OutputText;
use farthing_wire::{Credential, CredentialFields, header};

use super::bookkeeper::{Book, Broken, Payer, hold};
use super::dice::Dice;
use super::net::CallId;
use super::shop::{FREE, PAGES, SHOP};
use super::vault::Folder;

const KEY: [u8; 32] = [7; 32];

/// How a wallet is made: new, or again from its words.
type Make = fn(Folder, Seed, Unlock<'_>, &SealingEntropy) -> Result<Wallet, WalletError>;

/// The most that one payment may cost.
pub const PER_CALL: u64 = 40_000;

/// Something that a payer wants.
pub enum Wish {
    /// What one of the pages has.
    Page(usize),
    /// What costs nothing.
    Free,
    /// Credits for a code.
    Redeem(String),
    /// A token to give away.
    Send(u64),
    /// The credits of a token.
    Receive(String),
    /// A token back.
    Reclaim,
    /// Order.
    Recover,
    /// Everything back by the words, which a new disk may lack.
    Search,
    /// The same, on a new disk.
    Restore,
}

/// What an act of a payer leads to.
#[derive(Default)]
pub struct Act {
    /// A request that it sends.
    pub send: Option<HttpRequest>,
    /// A token that it gives away.
    pub token: Option<String>,
}

/// A payer.
pub struct Person {
    who: usize,
    folder: Folder,
    entropy: [u8; 16],
    wallet: Option<Wallet>,
    flow: Option<Box<dyn Flow>>,
    /// What happened to the last request.
    event: Option<Event>,
    /// The request that it waits for.
    waits_for: Option<CallId>,
    /// When a wait is over.
    wakes_at: Option<u64>,
    /// How often the wallet was made anew.
    generation: u32,
    total: u64,
    per_day: u64,
    /// What the last operation came to.
    pub ended: String,
    /// What the last search by the words has found.
    found: u64,
}

/// The only unit.
pub fn unit() -> Option<Unit> {
    "uusd".parse().ok()
}

/// The only mint.
pub fn mint() -> String {
    format!("{SHOP}{}", farthing_server::mount::ISSUER_PATH)
}

impl Person {
    /// A payer with an empty wallet.
    pub fn new(who: usize, dice: &mut Dice) -> Result<Self, WalletError> {
        let mut entropy = [0; 16];
        dice.fill(&mut entropy);
        let (total, per_day) = (dice.within(100_000..=900_000), dice.within(50_000..=400_000));
        let mut person = Self {
            who,
            folder: Folder::default(),
            entropy,
            wallet: None,
            flow: None,
            event: None,
            waits_for: None,
            wakes_at: None,
            generation: 0,
            total,
            per_day,
            ended: String::new(),
            found: 0,
        };
        person.make(Wallet::create)?;
        Ok(person)
    }

    fn make(&mut self, make: Make) -> Result<(), WalletError> {
        self.folder = Folder::default();
        let entropy = SealingEntropy { salt: [1; 16], nonce: [2; 24] };
        let seed = Seed::from_entropy(self.entropy)?;
        let mut wallet = make(self.folder.clone(), seed, Unlock::Key(&KEY), &entropy)?;
        if let Some(unit) = unit() {
            wallet.set_limits(self.limits(unit))?;
        }
        self.wallet = Some(wallet);
        Ok(())
    }

    fn limits(&self, unit: Unit) -> Limits {
        let some = |amount: u64| Some(Amount::from(amount));
        Limits {
            per_call: some(PER_CALL),
            per_day: some(self.per_day),
            total: some(self.total),
            ..Limits::none(unit)
        }
    }

    /// What the last search by the words has found.
    pub fn found(&self) -> u64 {
        self.found
    }

    /// Its disk.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Its wallet, if its program runs.
    pub fn wallet(&self) -> Option<&Wallet> {
        self.wallet.as_ref()
    }

    /// Whether it has nothing under way.
    pub fn is_idle(&self) -> bool {
        self.flow.is_none()
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        self.wallet.is_some()
    }

    /// Whether it waits for the network or the clock.
    pub fn waits(&self, elapsed: u64) -> bool {
        self.flow.is_some() && self.event.is_none() && self.wakes_at.is_none_or(|at| at > elapsed)
    }

    /// As the bookkeeper knows it.
    pub fn payer(&self) -> Payer {
        Payer::Wallet(self.who, self.generation)
    }

    /// Its program is killed.
    pub fn kill(&mut self) {
        (self.wallet, self.flow, self.event, self.waits_for, self.wakes_at) = (None, None, None, None, None);
        self.folder.spare();
    }

    /// Its program is started on what is durable.
    pub fn restart(&mut self) -> Result<(), Broken> {
        let opened = Wallet::open(self.folder.clone(), Unlock::Key(&KEY));
        let wallet =
            opened.map_err(|error| Broken::new("a wallet opens after a crash", error.to_string()))?;
        self.wallet = Some(wallet);
        Ok(())
    }

    /// Allows more, as its owner may.
    pub fn allow(&mut self, more: u64) {
        self.total = self.total.saturating_add(more);
        let limits = unit().map(|unit| self.limits(unit));
        if let (Some(wallet), Some(limits)) = (&mut self.wallet, limits)
            && wallet.set_limits(limits).is_err()
        {
            self.kill();
        }
    }

    /// What it waited for has happened.
    pub fn hears(&mut self, call: CallId, event: &Event) {
        if self.waits_for == Some(call) {
            (self.waits_for, self.event) = (None, Some(event.clone()));
        }
    }

    /// It waits for this request.
    pub fn waits_for(&mut self, call: CallId) {
        self.waits_for = Some(call);
    }

    /// Begins something.
    pub fn begin(&mut self, wish: Wish) -> Result<(), WalletError> {
        let money = |amount| Asset::micro("USD").map(|asset| asset.money(Amount::from(amount)));
        self.flow = match wish {
            Wish::Page(page) => {
                let (method, path, _, body) = PAGES.get(page).copied().unwrap_or(("GET", FREE, false, ""));
                Some(Box::new(PayFlow::new(request(method, path, body))?))
            }
            Wish::Free => Some(Box::new(PayFlow::new(request("GET", FREE, ""))?)),
            Wish::Redeem(code) => Some(Box::new(RedeemFlow::new(&code, &mint(), unit())?)),
            Wish::Send(amount) => match money(amount) {
                Ok(money) => Some(Box::new(SendFlow::new(money, Some(&mint()), None)?)),
                Err(_) => None,
            },
            Wish::Receive(token) => Some(Box::new(ReceiveFlow::new(&token, false)?)),
            Wish::Reclaim => {
                let sent = self.wallet.as_ref().and_then(|wallet| {
                    wallet
                        .attempts()
                        .find(|one| matches!(one.kind, AttemptKind::Sent { .. }))
                        .map(|one| one.id)
                });
                sent.map(|id| Box::new(ReclaimFlow::new(id)) as Box<dyn Flow>)
            }
            Wish::Recover => Some(Box::new(RecoverFlow::new())),
            Wish::Search => Some(Box::new(RestoreFlow::new(&mint())?)),
            Wish::Restore => {
                // What an open attempt may still have signed is out of the reach of the words.
                let open = self.wallet.as_ref().is_none_or(|wallet| wallet.attempts().next().is_some());
                if open {
                    None
                } else {
                    self.make(Wallet::restore)?;
                    self.generation = self.generation.saturating_add(1);
                    Some(Box::new(RestoreFlow::new(&mint())?))
                }
            }
        };
        self.event = self.flow.is_some().then_some(Event::Go);
        Ok(())
    }

    /// Goes on with what is under way, if it need not wait.
    pub fn act(&mut self, now: Timestamp, elapsed: u64, book: &mut Book) -> Act {
        let mut act = Act::default();
        if self.wakes_at.is_some_and(|at| at <= elapsed) {
            (self.wakes_at, self.event) = (None, Some(Event::Go));
        }
        if self.event.is_none() {
            return act;
        }
        let (Some(wallet), Some(mut flow), Some(mut event)) =
            (self.wallet.as_mut(), self.flow.take(), self.event.take())
        else {
            return act;
        };
        loop {
            match flow.next(wallet, event, now) {
                Ok(Step::Send(request)) => {
                    if flow.is_paying() {
                        register(wallet, Payer::Wallet(self.who, self.generation), now, &request, book);
                    }
                    act.send = Some(request);
                    self.flow = Some(flow);
                    break;
                }
                Ok(Step::Wait(span)) => {
                    self.wakes_at = Some(elapsed.saturating_add(span.millis()));
                    self.flow = Some(flow);
                    break;
                }
                Ok(Step::Deliver) => event = Event::Go,
                Ok(Step::Done(outcome)) => {
                    self.ended = format!("{outcome:?}");
                    if let Outcome::Restored { units, .. } = &*outcome {
                        let sums = units.iter().filter_map(|unit| unit.money.amount().to_u64());
                        self.found = sums.fold(0, u64::saturating_add);
                    }
                    if let Outcome::Sent { token, .. } = *outcome {
                        act.token = Some(token);
                    }
                    break;
                }
                Err(error) => {
                    self.ended = format!("{error:?}");
                    self.failed(&error, book);
                    break;
                }
            }
        }
        let checked = self.within_limits(book);
        book.note(checked);
        act
    }

    fn failed(&mut self, error: &WalletError, book: &mut Book) {
        match error {
            WalletError::Vault(_) => self.kill(),
            // A server that has stopped says so.
            WalletError::BadAnswer { got, .. } if got.starts_with("status 503") => {}
            WalletError::Misuse(_) | WalletError::Dleq { .. } | WalletError::BadAnswer { .. } => {
                book.note(Err(Broken::new("an honest issuer never confuses a wallet", format!("{error:?}"))));
            }
            _ => {}
        }
    }

    /// What was charged is booked, and what is booked is within the limits.
    fn within_limits(&self, book: &Book) -> Result<(), Broken> {
        let (Some(wallet), Some(unit)) = (&self.wallet, unit()) else { return Ok(()) };
        let (charged, booked) = (book.charged(self.payer()), wallet.spent(unit, &Scope::Total).value());
        hold(charged <= booked && booked <= u128::from(self.total), "no budget is exceeded", || {
            format!("wallet {}: {charged} charged, {booked} booked, {} allowed", self.who, self.total)
        })?;
        let day = book.charged_most_in_a_day(self.payer());
        hold(day <= u128::from(self.per_day), "no budget is exceeded", || {
            format!("wallet {}: {day} charged in a day, {} allowed", self.who, self.per_day)
        })
    }
}

/// Tells the bookkeeper whose payments are under way, and for which outputs this request wants its change.
fn register(wallet: &Wallet, payer: Payer, now: Timestamp, request: &HttpRequest, book: &mut Book) {
    let named = outputs_of(request);
    for attempt in wallet.attempts().filter(|attempt| attempt.payment().is_some()) {
        let credits: Vec<CreditId> =
            attempt.inputs.iter().map(|y| CreditId::from_bytes(y.to_bytes())).collect();
        let payment = PaymentId::of_credits(&credits);
        book.pays(payment, payer, now);
        let is_this = attempt
            .payment()
            .is_some_and(|payment| request.headers.iter().any(|(_, value)| *value == payment.credential));
        if is_this {
            book.wants_change(payment, &named);
        }
    }
}

/// The blank outputs that go along with a credential.
fn outputs_of(request: &HttpRequest) -> Vec<OutputId> {
    let values = |name: &str| -> Vec<&[u8]> {
        let here = request.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        here.map(|(_, value)| value.as_bytes()).collect()
    };
    let (authorization, other) = (values("Authorization"), values("Payment-Authorization"));
    let fields = CredentialFields {
        x_cashu: &values(header::X_CASHU),
        authorization: &authorization,
        payment_authorization: &other,
        ..CredentialFields::default()
    };
    match Credential::from_headers(fields) {
        Ok(Some(Credential::Credit { payload, .. })) => {
            let outputs = payload.outputs.unwrap_or_default();
            let point = |output: &OutputText| output.blinded.parse::<PublicKey>().ok();
            outputs.iter().filter_map(point).map(|point| OutputId::from_bytes(point.to_bytes())).collect()
        }
        _ => Vec::new(),
    }
}

fn request(method: &str, path: &str, body: &str) -> PayRequest {
    PayRequest {
        method: method.to_owned(),
        url: format!("{SHOP}{path}"),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
        max: None,
    }
}
