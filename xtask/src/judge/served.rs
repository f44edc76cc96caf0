//! `stn serve` for a judge: it ends when the judge does, however that ends.

use super::house::House;
use anyhow::{Context as _, Result};
use std::io::{BufRead as _, BufReader};
use std::net::TcpStream;
use std::process::{Child, Stdio};

/// The running server, ended when this is dropped.
pub(super) struct Served {
    child: Child,
    port: u16,
}

impl Served {
    /// Starts it in `house`.
    pub(super) fn start(house: &House) -> Result<Self> {
        // Under a word to the kernel: nothing is dropped in a judge that is killed.
        let mut command = house.command("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(house.program()).arg("serve");
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let mut served = Self { child, port: 0 };
        let mut lines = BufReader::new(stderr).lines();
        let told = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("127.0.0.1:")?.1.split([':', '/', ' ']).next()?.trim().parse().ok()
        });
        // What it says later must not stop it at a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        served.port = told.context("`stn serve` did not say where it listens")?;
        Ok(served)
    }

    /// A connection to it.
    pub(super) fn connect(&self) -> Result<TcpStream> {
        TcpStream::connect(("127.0.0.1", self.port)).context("`stn serve` takes no connection")
    }

    /// The address of `path`.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already; nothing of it is left either way.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
