//! `farthing schema`: what programs need to know in order to run this one.

use clap::builder::ValueRange;
use clap::{Arg, ArgAction, Args, Command, CommandFactory};
use farthing_server::config::{environment::VARIABLES, keys};
use serde_json::{Value, json};

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use crate::output::{Output, View};

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = false)]
pub struct Schema {
    /// All commands, exit codes, environment variables and configuration keys
    #[arg(long, group = "which")]
    all: bool,
    /// One command, or all below it, such as `price explain`
    #[arg(value_name = "COMMAND", group = "which")]
    command: Vec<String>,
}

struct Described(Value);

impl Schema {
    pub fn run(&self, output: &Output) -> Result<(), Failure> {
        let mut root = Cli::command();
        root.build();
        let mut commands = Vec::new();
        describe_below(&root, &[], &mut commands);
        if self.all {
            return output.show(&Described(whole(&root, commands)));
        }
        commands.retain(|(path, _)| path.starts_with(&self.command));
        if commands.is_empty() {
            let message = format!("expected a command, got {:?}", self.command.join(" "));
            return Err(Failure::new(Exit::NotFound, message).hint("`farthing help` lists the commands"));
        }
        output.show(&Described(json!(values(commands))))
    }
}

fn values(commands: Vec<(Vec<String>, Value)>) -> Vec<Value> {
    commands.into_iter().map(|(_, value)| value).collect()
}

fn whole(root: &Command, commands: Vec<(Vec<String>, Value)>) -> Value {
    let exit_codes = Exit::ALL.map(|(exit, meaning)| json!({ "code": exit.code(), "meaning": meaning }));
    let variables =
        VARIABLES.iter().map(|variable| json!({ "name": variable.name, "meaning": variable.meaning }));
    let keys = keys().map(|note| {
        json!({
            "section": note.section,
            "key": note.key,
            "expected": note.expected,
            "example": note.example,
            "default": note.default,
            "meaning": note.meaning,
        })
    });
    json!({
        "name": root.get_name(),
        "version": env!("CARGO_PKG_VERSION"),
        "output": "data on stdout, talk on stderr; JSON when stdout is no terminal or with --json",
        "commands": values(commands),
        "exit_codes": exit_codes,
        "environment": variables.collect::<Vec<_>>(),
        "configuration": keys.collect::<Vec<_>>(),
    })
}

/// Every command that does something by itself, with the words that call it.
fn describe_below(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Value)>) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let mut path = path.to_vec();
        path.push(below.get_name().to_owned());
        if below.has_subcommands() {
            describe_below(below, &path, found);
            continue;
        }
        let about = below.get_about().map(ToString::to_string);
        let arguments: Vec<Value> =
            below.get_arguments().filter(|arg| !is_plumbing(arg)).map(describe).collect();
        let value = json!({ "command": path.join(" "), "about": about, "arguments": arguments });
        found.push((path, value));
    }
}

fn is_plumbing(argument: &Arg) -> bool {
    matches!(
        argument.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    )
}

fn describe(argument: &Arg) -> Value {
    let takes_value = argument.get_action().takes_values();
    let kind = match (argument.is_positional(), takes_value) {
        (true, _) => "positional",
        (false, true) => "option",
        (false, false) => "flag",
    };
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let possible = argument.get_possible_values().into_iter().filter(|_| takes_value);
    let choices: Vec<String> = possible.map(|value| value.get_name().to_owned()).collect();
    let repeats = matches!(argument.get_action(), ArgAction::Append | ArgAction::Count)
        || argument.get_num_args().is_some_and(|range: ValueRange| range.max_values() > 1);
    json!({
        "name": argument.get_id().as_str(),
        "kind": kind,
        "long": argument.get_long().map(|long| format!("--{long}")),
        "short": argument.get_short().map(|short| format!("-{short}")),
        "value": argument.get_value_names().filter(|_| takes_value).and_then(|names| names.first()).map(clap::builder::Str::as_str),
        "required": argument.is_required_set(),
        "repeats": repeats,
        "default": defaults.first().filter(|_| takes_value),
        "choices": choices,
        "help": argument.get_help().map(ToString::to_string),
    })
}

impl View for Described {
    fn json(&self) -> Value {
        self.0.clone()
    }

    fn text(&self) -> String {
        format!("{:#}", self.0)
    }
}
