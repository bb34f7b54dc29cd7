//! Buys the pass of one subscription: asks the owner where the owner wants to be asked, or parks it where nobody can be.

use farthing_money::Span;
use farthing_wallet::{Asker, Outcome, Paid, PayFlow, PayRequest, RenewFlow, Renews, WalletError};

use super::pay_ask::{self, Said};
use super::pay_report::refusal;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{Delivery, Hop, Payer, Tally, now};

/// On whose behalf, and so long before the last pass ends.
pub struct When<'a> {
    pub asker: &'a Asker,
    pub margin: Span,
}

/// Looks after a subscription; `pay` makes the flow that pays for the request of its pass.
pub async fn renew(
    payer: &mut Payer,
    number: u64,
    when: When<'_>,
    pay: impl Fn(&Hop) -> Result<PayFlow, Failure>,
    output: &Output,
) -> Result<Outcome, Failure> {
    let PayRequest { method, url, headers, body, .. } = payer.wallet.renewal(number)?;
    let hop = Hop { method, url, headers, body };
    let mut given = None;
    loop {
        let flow = pay(&hop)?.asked_by(when.asker.clone()).agreed_up_to(given);
        let mut flow = RenewFlow::new(&payer.wallet, number, flow, when.margin)?;
        let needs = match payer.attempt(&mut flow, &mut Delivery::none()).await? {
            Ok(Outcome::Refused(refused)) => {
                let outcome = Outcome::Refused(refused);
                let mut tally = Tally::default();
                tally.count(&outcome);
                let Outcome::Refused(refused) = outcome else { continue };
                return Err(refusal(*refused, &tally));
            }
            Ok(outcome) => return Ok(outcome),
            Err(WalletError::Ask(needs)) => needs,
            Err(error) => return Err(error.into()),
        };
        match pay_ask::ask(&needs, &hop.url, output)? {
            Said::Yes(price) => given = Some(price),
            Said::No => {
                let message =
                    format!("{} asks {}, and the answer was no; nothing was sent", needs.host, needs.price);
                return Err(Failure::new(Exit::BudgetRefused, message));
            }
            Said::Nothing => {
                let of = (when.asker, Some(Renews { subscription: number, margin: when.margin }));
                let parked = pay_ask::park(&mut payer.wallet, &hop, of, &needs, now())?;
                return Err(pay_ask::parked(&parked, &needs));
            }
        }
    }
}

/// What to say of a pass that was bought.
pub fn told(url: &str, paid: &Paid) -> String {
    let until = paid.pass_until.map(|until| format!(" until {until}")).unwrap_or_default();
    format!("bought the pass at {url} for {}{until}", paid.charged)
}
