//! Where the story plays: runs this very program and real requests, and shows what they say.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use farthing_server::demo::DemoReady;
use farthing_wallet::{HttpRequest, HttpResponse, Read as ReadBody};

use super::shown;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::payer::{Client, Patience};

/// No step takes nearly as long.
const STEP: Duration = Duration::from_mins(2);

/// The program, a home folder, and what the demo said when it was ready.
pub struct Stage<'a> {
    pub output: &'a Output,
    pub ready: DemoReady,
    home: PathBuf,
    client: Client,
}

impl<'a> Stage<'a> {
    pub fn new(output: &'a Output, home: &Path, ready: DemoReady) -> Result<Self, Failure> {
        let home = home.canonicalize().map_err(|error| failed(&error))?;
        Ok(Self { output, ready, home, client: Client::new(Patience::default())? })
    }

    /// A file in the home folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Shows words of the storyteller.
    pub fn tell(&self, words: &str) -> Result<(), Failure> {
        self.output.line(format_args!("\n# {words}"))
    }

    /// Shows a command as it would be typed, and what it says.
    pub fn show(&self, command: &str, said: &str) -> Result<(), Failure> {
        self.output.line(format_args!("$ {}", self.at_home(command)))?;
        let said = self.at_home(said);
        if said.trim().is_empty() { Ok(()) } else { self.output.line(said.trim_end()) }
    }

    /// Runs `farthing` with these arguments, shows it and what it said; it must succeed.
    pub async fn farthing(&self, arguments: &[&str]) -> Result<String, Failure> {
        let typed = arguments.iter().map(|argument| shown::typed(argument)).collect::<Vec<_>>().join(" ");
        let (is_success, said) = self.run(arguments).await?;
        self.show(&format!("farthing {typed}"), &shown::without_words(&said))?;
        self.expect(is_success, &format!("`farthing {typed}` to succeed"), "a failure")?;
        Ok(said)
    }

    /// Both streams of a child, as a terminal shows them: one after the other as they come.
    async fn run(&self, arguments: &[&str]) -> Result<(bool, String), Failure> {
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let (mut reader, writer) = std::io::pipe().map_err(|error| failed(&error))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .arg("--text")
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", &self.home)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().map_err(|error| failed(&error))?)
            .stderr(writer);
        let mut command = tokio::process::Command::from(command);
        let child = command.kill_on_drop(true).spawn();
        // It holds the pipe's writing end: while it lives, reading does not end.
        drop(command);
        let mut child = child.map_err(|error| failed(&error))?;
        let read = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            reader.read_to_string(&mut said).map(|_| said)
        });
        let ended = tokio::time::timeout(STEP, async {
            let status = child.wait().await.map_err(|error| failed(&error))?;
            let said = read.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
            Ok((status.success(), said))
        });
        ended.await.map_err(|_| failed(&format_args!("a step took longer than {} s", STEP.as_secs())))?
    }

    /// Asks as curl would, without paying.
    pub async fn get(&self, url: &str) -> Result<HttpResponse, Failure> {
        let request = HttpRequest {
            method: "GET".to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            read: ReadBody::Whole,
        };
        let answer = self.client.send(request).await;
        Ok(answer.map_err(|none| failed(&format_args!("{url} did not answer: {none:?}")))?.to_response())
    }

    /// Ends the story if something is not as it should be.
    pub fn expect(&self, is_so: bool, expected: &str, came: &str) -> Result<(), Failure> {
        if is_so {
            return Ok(());
        }
        let message = self.at_home(&format!("the demo went wrong: expected {expected}, got {}", came.trim()));
        Err(Failure::new(Exit::Failed, message))
    }

    /// Expects words in what was said.
    pub fn says(&self, said: &str, words: &str) -> Result<(), Failure> {
        self.expect(said.contains(words), &format!("{words:?}"), said)
    }

    /// The home folder as shells write it.
    fn at_home(&self, text: &str) -> String {
        text.replace(&self.home.display().to_string(), "~")
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("the demo cannot go on: {error}"))
}
