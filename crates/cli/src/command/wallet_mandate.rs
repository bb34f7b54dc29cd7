//! `farthing wallet mandate`: what an agent may spend for its owner, signed by the owner's wallet and kept by the agent's.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use farthing_money::{Asset, Span, Timestamp};
use farthing_wallet::{
    Given, HostPattern, MandateReject, Name, Outcome, ReceiveFlow, ReclaimFlow, Recovered, SendFlow, Settled,
    Taken, Wallet, WalletError,
};
use farthing_wire::{Mandate as Claims, MandateFile};

use super::pay_mandate::read;
use super::wallet_mandate_shown::{All, One};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{Payer, Typed, WalletPlace, draw, now, write_secret};

#[derive(Debug, Subcommand)]
pub enum Mandate {
    /// Sign a mandate and write it into a file, with the money if you want
    Give(Box<Give>),
    /// Take a mandate in: this wallet pays within it only, from now on
    Take(Take),
    /// The mandates that were given and taken, and what is used of them
    List,
    /// One mandate: of a file, or by the beginning of its name
    Show(Show),
    /// Take a mandate back that you have given, or take in that one was taken back
    Revoke(Revoke),
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "A mandate binds a wallet program, not whoever runs it: an agent that can use another wallet, or another program on the same folder, is bound by nothing but the money that it has. With --fund the file carries a token of exactly the total, so that even a broken agent cannot spend more; whoever has the file has that money. See docs/budgets.md."
)]
pub struct Give {
    /// Write it into this new file, which only you can read
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    /// What all payments under it may cost, such as "5.00 USD"
    #[arg(long, value_name = "AMOUNT")]
    total: Typed,
    /// What one payment may cost
    #[arg(long, value_name = "AMOUNT")]
    per_call: Option<Typed>,
    /// What the payments of one day (UTC) may cost
    #[arg(long, value_name = "AMOUNT")]
    per_day: Option<Typed>,
    /// What the payments of one month (UTC) may cost
    #[arg(long, value_name = "AMOUNT")]
    per_month: Option<Typed>,
    /// A host that may be paid: example.com, example.com:8443 or *.example.com; may be given more than once
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostPattern>,
    /// A tool that may ask; may be given more than once
    #[arg(long = "tool", value_name = "NAME")]
    tools: Vec<Name>,
    /// When it ends: a day (UTC) with which it ends, a time, or a span such as 12h
    #[arg(long, value_name = "WHEN", value_parser = until)]
    until: Until,
    /// Put a token of exactly the total into the file
    #[arg(long)]
    fund: bool,
    /// A word for whoever reads it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

#[derive(Debug, Args)]
pub struct Take {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, Args)]
pub struct Show {
    /// A file, or the beginning of a name
    #[arg(value_name = "FILE|NAME")]
    which: String,
    /// Write the file of a mandate that you have given once more
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct Revoke {
    /// The beginning of the name of a mandate that you have given
    #[arg(value_name = "NAME", required_unless_present = "file", conflicts_with = "file")]
    name: Option<String>,
    /// Take in the signed end of a mandate that this wallet has taken
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write the signed end into this new file, for the agent's wallet
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    to: Option<PathBuf>,
}

/// When a mandate ends, as typed.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    At(Timestamp),
    In(Span),
}

pub fn until(text: &str) -> Result<Until, String> {
    if let Ok(span) = text.parse() {
        return Ok(Until::In(span));
    }
    if let Ok(day) = format!("{text}T00:00:00Z").parse::<Timestamp>() {
        // The whole day counts.
        return Ok(Until::At(day.after(Span::from_secs(86_400))));
    }
    let time = text.parse().map(Until::At);
    time.map_err(|_| format!("expected a day such as 2026-12-31, a time such as 2026-12-31T12:00:00Z or a span such as 12h, got {text:?}"))
}

impl Mandate {
    pub async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Give(give) => give.run(&mut opened(place, output).await?, output).await,
            Self::Take(take) => take.run(place, output).await,
            Self::List => output.show(&All::of(&place.open().await?, now())),
            Self::Show(show) => show.run(place, output).await,
            Self::Revoke(revoke) => revoke.run(&mut opened(place, output).await?, output).await,
        }
    }
}

async fn opened(place: &WalletPlace, output: &Output) -> Result<Payer, Failure> {
    let mut payer = Payer::new(place.open().await?);
    payer.recover(output).await?;
    Ok(payer)
}

fn refused(reject: MandateReject) -> Failure {
    WalletError::from(reject).into()
}

fn unwritable(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        let message = format!("expected a new file, and {} is there already", path.display());
        return Err(Failure::new(Exit::Usage, message).hint("name a file that is not there yet"));
    }
    Ok(())
}

fn write(path: &Path, file: &MandateFile) -> Result<(), Failure> {
    let text = file.to_json().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    write_secret(path, &format!("{text}\n"))
}

impl Give {
    async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        unwritable(&self.to)?;
        let total = self.total.money(&payer.wallet)?;
        let claims = self.claims(&payer.wallet, total.asset(), now())?;
        if self.fund {
            // Of a mandate that binds this wallet nothing can be given on beyond it: what is sent counts.
            let note = Some(format!("mandate {}", claims.id));
            let Outcome::Sent { attempt, token, .. } =
                payer.run(&mut SendFlow::new(total, None, note)?).await?
            else {
                return Err(Failure::new(Exit::Failed, "expected a token, got another outcome"));
            };
            let given = payer.wallet.give_mandate(claims, Some((token, attempt)))?;
            return self.written(payer, &given, output);
        }
        let given = payer.wallet.give_mandate(claims, None)?;
        self.written(payer, &given, output)
    }

    fn written(&self, payer: &Payer, given: &Given, output: &Output) -> Result<(), Failure> {
        write(&self.to, &given.file()).map_err(|failure| {
            failure.hint(format!(
                "it is signed: `farthing wallet mandate show {} --to FILE` writes it",
                given.mandate.id
            ))
        })?;
        if given.token.is_some() {
            output.say(format_args!(
                "{} carries the money: whoever has it has {}",
                self.to.display(),
                given.total().map_or_else(String::new, |total| total.to_string())
            ));
        }
        output.show(&One::given(&payer.wallet, given, now()))
    }

    fn claims(&self, wallet: &Wallet, asset: Asset, given: Timestamp) -> Result<Claims, Failure> {
        let code = asset.code();
        let amount = |typed: &Typed| {
            let usage = |message: String| Failure::new(Exit::Usage, message);
            if typed.code(wallet)? != code {
                return Err(usage(format!("expected limits in {code}, as the total is, got another asset")));
            }
            typed.at_most(asset).map(|money| money.amount()).map_err(|error| usage(error.to_string()))
        };
        let each = |typed: &Option<Typed>| typed.as_ref().map(amount).transpose();
        let total = amount(&self.total)?;
        if total.is_zero() {
            return Err(Failure::new(Exit::Usage, "expected a total above zero, got nothing"));
        }
        let until = match self.until {
            Until::At(at) => at,
            Until::In(span) => given.after(span),
        };
        if until <= given {
            return Err(Failure::new(
                Exit::Usage,
                format!("expected an end to come, got {until}, which is past"),
            ));
        }
        let id = draw()?.first_chunk::<16>().map(hex::encode).unwrap_or_default();
        Ok(Claims {
            id,
            unit: asset.unit(),
            asset: code,
            scale: asset.scale(),
            total,
            per_call: each(&self.per_call)?,
            per_day: each(&self.per_day)?,
            per_month: each(&self.per_month)?,
            hosts: self.hosts.iter().map(ToString::to_string).collect(),
            tools: self.tools.iter().map(ToString::to_string).collect(),
            given,
            until,
            token: None,
            note: self.note.clone(),
        })
    }
}

impl Take {
    async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let file = read(&self.file)?;
        if file.revocation.is_some() {
            return ended(&mut opened(place, output).await?, &file, output);
        }
        // What is not good is refused before a wallet is made for it.
        let taken = Taken::read(&file, now()).map_err(refused)?;
        let mut payer = Payer::new(place.open_or_create(output).await?);
        payer.recover(output).await?;
        payer.wallet.check_taking(&taken).map_err(refused)?;
        let id = taken.id().to_owned();
        let Some(money_along) = &file.token else {
            payer.wallet.take_mandate(taken)?;
            return shown(&payer, &id, output);
        };
        match payer.run(&mut ReceiveFlow::with_mandate(money_along, taken)?).await {
            Ok(Outcome::Received { money, .. }) => output.say(format_args!("{money} came with it")),
            Ok(_) => {
                return Err(Failure::new(
                    Exit::Failed,
                    "expected credits for the token, got another outcome",
                ));
            }
            Err(failure) if payer.wallet.taken_mandate(&id).is_ok() => {
                let message =
                    format!("the mandate is taken in, and its money is not here: {}", failure.message);
                return Err(Failure { message, ..failure }.hint(
                    "`farthing wallet recover` looks for it again; if someone else has taken it, ask the giver for another mandate",
                ));
            }
            Err(failure) => return Err(failure),
        }
        shown(&payer, &id, output)
    }
}

fn shown(payer: &Payer, id: &str, output: &Output) -> Result<(), Failure> {
    let taken = payer.wallet.taken_mandate(id).map_err(refused)?;
    output.show(&One::taken(&payer.wallet, &taken, now()))
}

fn ended(payer: &mut Payer, file: &MandateFile, output: &Output) -> Result<(), Failure> {
    let taken = payer.wallet.end_mandate(file)?;
    output.show(&One::taken(&payer.wallet, &taken, now()))
}

impl Show {
    async fn run(&self, place: &WalletPlace, output: &Output) -> Result<(), Failure> {
        let path = Path::new(&self.which);
        let wallet = if place.exists()? { Some(place.open().await?) } else { None };
        if path.exists() {
            let taken = Taken::read(&read(path)?, now()).map_err(refused)?;
            return output.show(&One::file(&taken));
        }
        let unknown = || refused(MandateReject::Unknown(self.which.clone()));
        let wallet = wallet.ok_or_else(unknown)?;
        if let Ok(given) = wallet.given_mandate(&self.which) {
            if let Some(to) = &self.to {
                write(to, &given.file())?;
            }
            return output.show(&One::given(&wallet, &given, now()));
        }
        let taken = wallet.taken_mandate(&self.which).map_err(refused)?;
        output.show(&One::taken(&wallet, &taken, now()))
    }
}

impl Revoke {
    async fn run(&self, payer: &mut Payer, output: &Output) -> Result<(), Failure> {
        if let Some(file) = &self.file {
            return ended(payer, &read(file)?, output);
        }
        let given = payer.wallet.given_mandate(self.name.as_deref().unwrap_or_default()).map_err(refused)?;
        self.to.as_deref().map_or(Ok(()), unwritable)?;
        let file = payer.wallet.revoke_mandate(&given, now())?;
        if let Some(to) = &self.to {
            write(to, &file)?;
        }
        let given = payer.wallet.given_mandate(&given.mandate.id).map_err(refused)?;
        let mut back = None;
        if let Some((_, attempt)) = &given.token {
            back = reclaim(payer, *attempt).await?;
        }
        if let Some(Settled::Taken(money)) = back {
            output.say(format_args!("its {money} was taken in before and cannot be taken back; give the agent's wallet the signed end (--to FILE)"));
        } else if let Some(Settled::Back(money)) = back {
            output.say(format_args!("{money} of it is back"));
        }
        output.show(&One::given(&payer.wallet, &given, now()))
    }
}

/// Takes the token back, if nobody took it.
async fn reclaim(payer: &mut Payer, attempt: u64) -> Result<Option<Settled>, Failure> {
    if !payer.wallet.attempts().any(|open| open.id == attempt) {
        return Ok(None);
    }
    let hint =
        format!("it is revoked; `farthing wallet reclaim {attempt}` tries again to get its money back");
    let outcome =
        payer.run(&mut ReclaimFlow::new(attempt)).await.map_err(|failure| failure.hint(hint.clone()))?;
    let Outcome::Recovered(mut recovered) = outcome else {
        return Err(Failure::new(Exit::Failed, "expected what was open, got another outcome"));
    };
    match recovered.pop() {
        Some(Recovered { ended, .. }) => ended.map(Some).map_err(|error| Failure::from(error).hint(hint)),
        None => Err(Failure::new(Exit::Failed, "expected what was open, got nothing")),
    }
}
