//! One scenario: what a person would type, with the server of the suite in a server file.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// What the client calls itself where a server takes a description of it: the document that the suite expects.
const CLIENT_DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";

/// How often one thing is tried: a server may want a login, and then one that is good for more.
const TRIES: usize = 3;

/// What the suite says of a scenario.
pub(super) struct Scenario<'a> {
    /// JSON, where there is any.
    pub(super) context: &'a str,
    pub(super) stn: &'a Path,
    pub(super) url: &'a str,
}

/// A home with `stn` in it.
struct Home<'a> {
    folder: TempDir,
    stn: &'a Path,
}

impl Home<'_> {
    fn stn(&self, args: &[&str]) -> Result<Output> {
        let ours = std::env::current_exe().context("our own program has no path")?;
        let browser = format!("{} judge conformance-client --browser", ours.display());
        let mut command = Command::new(self.stn);
        command.args(args).env_clear().env("HOME", self.folder.path()).env("BROWSER", browser);
        command.env("PATH", "/usr/bin:/bin").current_dir(self.folder.path()).stdin(Stdio::null());
        let output = command.output().context("`stn` cannot be started")?;
        eprintln!("$ stn {}", args.join(" "));
        eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// Does something, and logs in where it is asked to before it does it again. Whether it was done.
    fn logged_in(&self, args: &[&str]) -> Result<bool> {
        for _ in 0..TRIES {
            let output = self.stn(args)?;
            let said = [output.stdout, output.stderr].concat();
            if !String::from_utf8_lossy(&said).contains("stn mcp login") {
                return Ok(output.status.success());
            }
            // 4: logged in, and its tools could not be listed; it may want another login already.
            if !matches!(self.stn(&["mcp", "login", "far"])?.status.code(), Some(0 | 4)) {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

/// Plays one scenario. `Ok(false)` where the last step failed: the suite knows of which scenarios that is the end.
pub(super) fn run(scenario: &Scenario<'_>) -> Result<bool> {
    let home = Home { folder: tempfile::tempdir()?, stn: scenario.stn };
    let files = home.folder.path().join(".config/station/environments/default/mcp-servers");
    fs::create_dir_all(&files).with_context(|| format!("{} cannot be made", files.display()))?;
    home.stn(&["init", "--yes"])?;
    let context: Value = serde_json::from_str(scenario.context).unwrap_or_default();
    let entry = json!({ "mcpServers": { "far": entry(scenario, &context) } });
    fs::write(files.join("far.json"), entry.to_string())?;
    let mut is_good = home.logged_in(&["mcp", "sync", "far"])?;
    for (tool, arguments) in calls(&home, &context)? {
        is_good &= home.logged_in(&["mcp", "call", "far", &tool, &arguments.to_string(), "--yes"])?;
    }
    Ok(is_good)
}

fn entry(scenario: &Scenario<'_>, context: &Value) -> Value {
    let mut oauth = json!({ "client_metadata_url": CLIENT_DOCUMENT });
    for key in ["client_id", "client_secret"] {
        if let Some(value) = context.get(key) {
            oauth[key] = value.clone();
        }
    }
    json!({ "url": scenario.url, "station": { "oauth": oauth, "answers": { "forms": "defaults" } } })
}

/// The calls that the suite asks for; else one of each tool, with arguments that fit its schema.
fn calls(home: &Home<'_>, context: &Value) -> Result<Vec<(String, Value)>> {
    if let Some(calls) = context["toolCalls"].as_array() {
        let named = |call: &Value| Some((call["name"].as_str()?.to_owned(), call["arguments"].clone()));
        return Ok(calls.iter().filter_map(named).collect());
    }
    let output = home.stn(&["--json", "mcp", "tools"])?;
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let tools = listed["tools"].as_array().into_iter().flatten();
    let named = |tool: &Value| Some((tool["name"].as_str()?.to_owned(), fitting(&tool["input_schema"])));
    Ok(tools.filter_map(named).collect())
}

/// Arguments that fit a schema of plain types.
fn fitting(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let value = |schema: &Value| match schema["type"].as_str() {
        Some("number" | "integer") => json!(7),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        Some("object") => json!({}),
        _ => json!("text"),
    };
    Value::Object(
        properties.iter().map(|(name, schema)| (name.clone(), value(schema))).collect::<Map<_, _>>(),
    )
}

/// Opens an address as a browser would whose user agrees to everything: follows where it is sent.
pub(super) fn browse(address: &str) -> Result<bool> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--location", "--max-redirs", "5", address]).stdout(Stdio::null());
    let status = curl.status().context("curl cannot be started")?;
    if !status.success() {
        bail!("the address could not be opened");
    }
    Ok(true)
}
