//! `farthing refund`: gives a payment back, wholly or in part, and shows how often what is sold is given back.

use clap::{Args, Subcommand};
use farthing_server::refunds::{RefundRate, RefundRequest, Refunded};
use serde_json::{Value, json};

use crate::args::ConfigFile;
use crate::exit::{Exit, Failure};
use crate::operator::ask;
use crate::output::{Output, View};
use crate::table::table;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Refund {
    #[command(subcommand)]
    action: Option<Action>,
    /// The payment: its id of 64 hexadecimal digits, or its receipt
    #[arg(value_name = "PAYMENT")]
    payment: Option<String>,
    /// How much, such as "0.05 USD"; otherwise all that is charged still
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<String>,
    /// Why, for the journal. The same amount for the same reason is the same refund, however often it is asked for
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Make a top-up code of it; otherwise it waits for whoever has the receipt
    #[arg(long)]
    code: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// How often each thing that can be given back was
    Rates(Rates),
}

#[derive(Debug, Args)]
struct Rates {
    #[command(flatten)]
    config: ConfigFile,
}

struct All(Vec<RefundRate>);

impl Refund {
    pub fn run(self, output: &Output) -> Result<(), Failure> {
        if let Some(Action::Rates(rates)) = &self.action {
            return output.show(&All(ask(&rates.config, async |access| access.refund_rates().await)?));
        }
        let usage = |message: &str| Failure::new(Exit::Usage, message);
        let payment = self.payment.ok_or_else(|| {
            usage("expected the id of a payment or its receipt; `farthing refund rates` shows what was given back")
        })?;
        let why =
            self.why.ok_or_else(|| usage("expected --why with the reason: it goes into the journal"))?;
        let request = RefundRequest { payment, amount: self.amount, why, code: self.code };
        let refunded = ask(&self.config, async |access| access.refund(&request).await)?;
        let how = match (&refunded.code, refunded.repeated) {
            (_, true) => "this was done before, and nothing now",
            (Some(_), false) => "whoever has the code has the money: send it to the payer",
            (None, false) => {
                "set aside: whoever has the receipt fetches it with `farthing wallet refund-payment`"
            }
        };
        output.say(format_args!("{} of {}; {how}", refunded.refunded, refunded.payment));
        output.show(&refunded)
    }
}

impl View for Refunded {
    fn json(&self) -> Value {
        json!(self)
    }

    fn text(&self) -> String {
        match &self.code {
            Some(code) => code.clone(),
            None => {
                format!("{} refunded, {} kept, {} waits for the payer", self.refunded, self.kept, self.due)
            }
        }
    }
}

impl View for All {
    fn json(&self) -> Value {
        json!(self.0)
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return "nothing that can be given back was paid for yet".to_owned();
        }
        let row = |rate: &RefundRate| {
            let (whole, part) = (rate.rate / 100, rate.rate % 100);
            [
                rate.item.clone(),
                rate.paid.to_string(),
                rate.refunded.to_string(),
                format!("{whole}.{part:02} %"),
                format!("{} of {}", rate.lately_asked, rate.lately_paid),
            ]
        };
        let rows: Vec<_> = self.0.iter().map(row).collect();
        table(["ITEM", "PAID", "REFUNDED", "RATE", "ASKED LATELY"], &rows)
    }
}
