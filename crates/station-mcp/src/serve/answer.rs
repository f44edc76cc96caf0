//! What is answered to a request: the host's words, dressed as the era wants them.

use super::version::{SPOKEN, Session};
use super::{About, Asked, Completing, Fault, Host, Listing, Outcome, Subject, Task, Written};
use serde_json::{Map, Value, json};
use station_core::Era;

/// The Tasks extension (SEP-2663).
pub(crate) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// How long a client may keep a list: changes are told to whoever listens, and a minute is what others notice late.
const LIST_TTL_MS: u64 = 60_000;

/// What a resource holds may change at any time.
const READ_TTL_MS: u64 = 0;

/// Most values of one completion, as the protocol has it.
const VALUES_MAX: usize = 100;

/// The answer to a request that needs nothing of its transport.
///
/// # Errors
/// Where the request itself is wrong, or we fail.
pub(crate) async fn answer(
    host: &dyn Host,
    asked: &Asked,
    method: &str,
    mut params: Map<String, Value>,
) -> Result<Written, Fault> {
    let list = |name: &str, entries: Vec<Value>| cacheable(json!({ name: entries }), LIST_TTL_MS);
    let result = match (method, asked.era) {
        ("ping", Era::Legacy) => json!({}),
        ("server/discover", Era::Modern) => cacheable(discovered(&host.about()), LIST_TTL_MS),
        ("tools/list", _) => match first_page(&params, host.tools(asked).await?)? {
            Listing::Entries(entries) => list("tools", entries),
            // It is text already, and is put where its entries would be.
            Listing::Text(text) => {
                let empty = dressed(list("tools", Vec::new()), asked.era, &host.about()).to_string();
                let filled = empty.replacen(r#""tools":[]"#, &format!(r#""tools":{text}"#), 1);
                return Ok(Written::Text(filled));
            }
        },
        ("resources/list", _) => list("resources", first_page(&params, host.resources(asked).await?)?),
        ("resources/templates/list", _) => {
            list("resourceTemplates", first_page(&params, host.resource_templates(asked).await?)?)
        }
        ("prompts/list", _) => list("prompts", first_page(&params, host.prompts(asked).await?)?),
        ("tools/call", _) => {
            let (name, arguments) = (text(&params, "name")?, object(&mut params, "arguments")?);
            outcome(asked, host.call_tool(asked, &name, arguments).await?)?
        }
        ("resources/read", _) => {
            let uri = text(&params, "uri")?;
            cacheable(outcome(asked, host.read_resource(asked, &uri).await?)?, READ_TTL_MS)
        }
        ("prompts/get", _) => {
            let (name, arguments) = (text(&params, "name")?, object(&mut params, "arguments")?);
            outcome(asked, host.prompt(asked, &name, arguments).await?)?
        }
        ("completion/complete", _) => completion(host.complete(asked, completing(&mut params)?).await?),
        ("tasks/get" | "tasks/update" | "tasks/cancel", Era::Modern) => {
            task_request(host, asked, method, &params).await?
        }
        _ => return Err(Fault::Method(method.to_owned())),
    };
    Ok(Written::Json(dressed(result, asked.era, &host.about())))
}

/// What `initialize` is answered with.
pub(crate) fn initialized(about: &About, session: &Session) -> Value {
    json!({
        "protocolVersion": session.version,
        "capabilities": capabilities(about, Era::Legacy),
        "serverInfo": server_info(about),
        "instructions": about.instructions,
    })
}

/// `result` with what every result of the era has.
pub(crate) fn dressed(mut result: Value, era: Era, about: &About) -> Value {
    let Some(object) = result.as_object_mut() else { return result };
    if era == Era::Legacy {
        for only_modern in ["ttlMs", "cacheScope", "resultType"] {
            object.remove(only_modern);
        }
        return result;
    }
    object.entry("resultType").or_insert_with(|| "complete".into());
    let meta = object.entry("_meta").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("io.modelcontextprotocol/serverInfo".to_owned(), server_info(about));
    }
    result
}

fn discovered(about: &About) -> Value {
    json!({
        "supportedVersions": SPOKEN,
        "capabilities": capabilities(about, Era::Modern),
        "instructions": about.instructions,
    })
}

fn server_info(about: &About) -> Value {
    json!({ "name": about.name, "title": about.title, "version": about.version })
}

fn capabilities(about: &About, era: Era) -> Value {
    let mut capabilities = json!({
        "tools": { "listChanged": about.lists_change },
        "resources": { "subscribe": about.resources_change, "listChanged": about.lists_change },
        "prompts": { "listChanged": about.lists_change },
        "completions": {},
    });
    if about.logs {
        capabilities["logging"] = json!({});
    }
    if era == Era::Modern {
        capabilities["extensions"] = json!({ TASKS: {} });
    }
    capabilities
}

fn cacheable(mut result: Value, ttl_ms: u64) -> Value {
    // What one caller may see is nobody else's.
    for (key, value) in [("ttlMs", Value::from(ttl_ms)), ("cacheScope", Value::from("private"))] {
        if let Some(object) = result.as_object_mut() {
            object.entry(key).or_insert(value);
        }
    }
    result
}

/// Lists are given whole, so that there is no second page to ask for.
fn first_page<T>(params: &Map<String, Value>, entries: T) -> Result<T, Fault> {
    match params.get("cursor") {
        None | Some(Value::Null) => Ok(entries),
        Some(cursor) => Err(Fault::Params(format!("no list of this server has a cursor {cursor}"))),
    }
}

/// A parameter that must be there.
pub(crate) fn text(params: &Map<String, Value>, key: &str) -> Result<String, Fault> {
    let text = params.get(key).and_then(Value::as_str).map(str::to_owned);
    text.ok_or_else(|| Fault::Params(format!("`params.{key}` is missing, or no text")))
}

fn object(params: &mut Map<String, Value>, key: &str) -> Result<Map<String, Value>, Fault> {
    match params.remove(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(_) => Err(Fault::Params(format!("`params.{key}` is no object"))),
    }
}

fn completing(params: &mut Map<String, Value>) -> Result<Completing, Fault> {
    let (of, mut argument) = (object(params, "ref")?, object(params, "argument")?);
    let of = match of.get("type").and_then(Value::as_str) {
        Some("ref/prompt") => Subject::Prompt(text(&of, "name")?),
        Some("ref/resource") => Subject::Template(text(&of, "uri")?),
        _ => return Err(Fault::Params("`params.ref.type` is `ref/prompt` or `ref/resource`".to_owned())),
    };
    let others = object(&mut object(params, "context")?, "arguments")?;
    let value = argument.remove("value").and_then(|value| value.as_str().map(str::to_owned));
    let value = value.ok_or_else(|| Fault::Params("`params.argument.value` is a text".to_owned()))?;
    Ok(Completing { of, argument: text(&argument, "name")?, value, others })
}

fn completion(values: Vec<String>) -> Value {
    let (total, has_more) = (values.len(), values.len() > VALUES_MAX);
    let values: Vec<String> = values.into_iter().take(VALUES_MAX).collect();
    json!({ "completion": { "values": values, "total": total, "hasMore": has_more } })
}

fn outcome(asked: &Asked, outcome: Outcome) -> Result<Value, Fault> {
    match outcome {
        Outcome::Complete(result) => Ok(result),
        Outcome::NeedsInput { requests, state } if asked.era == Era::Modern => Ok(json!({
            "resultType": "input_required", "inputRequests": requests, "requestState": state,
        })),
        Outcome::Task(task) if asked.takes_tasks() => {
            let mut result = task_json(&task);
            result["resultType"] = "task".into();
            Ok(result)
        }
        // A host asks first what the client can do.
        Outcome::NeedsInput { .. } | Outcome::Task(_) => {
            Err(Fault::Internal("a result was made that this client cannot take".to_owned()))
        }
    }
}

async fn task_request(
    host: &dyn Host,
    asked: &Asked,
    method: &str,
    params: &Map<String, Value>,
) -> Result<Value, Fault> {
    if !asked.takes_tasks() {
        return Err(Fault::Incapable(json!({ "extensions": { TASKS: {} } })));
    }
    let id = text(params, "taskId")?;
    let gone = || Fault::Params(format!("there is no task `{id}`"));
    match method {
        "tasks/cancel" => host.end_task(asked, &id).await?.ok_or_else(gone).map(|()| json!({})),
        "tasks/update" => host.answer_task(asked, &id).await?.ok_or_else(gone).map(|()| json!({})),
        _ => host.task(asked, &id).await?.ok_or_else(gone).map(|task| task_json(&task)),
    }
}

fn task_json(task: &Task) -> Value {
    let mut shown = json!({
        "taskId": task.id,
        "status": task.status,
        "statusMessage": task.message,
        "createdAt": task.created_at,
        "lastUpdatedAt": task.updated_at,
        "ttlMs": null,
        "pollIntervalMs": task.poll_interval_ms,
    });
    if !task.requests.is_empty() {
        shown["inputRequests"] = Value::Object(task.requests.clone());
    }
    if let Some(result) = &task.result {
        shown["result"] = result.clone();
    }
    shown
}
