//! Telling what changes: to a `subscriptions/listen` of the modern era, and to a legacy client as its session has it.

use super::frame::{Id, Written, notification};
use super::{About, Asked, Change, Fault, Host, Wanted};
use futures::StreamExt as _;
use serde_json::{Map, Value, json};
use station_core::Era;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Resources that one subscription may follow.
const URIS_MAX: usize = 1_000;

/// Where a notification says which subscription it is for.
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

/// What `subscriptions/listen` with these parameters gets of what it asks for.
///
/// # Errors
/// Where the parameters do not say it.
pub(crate) fn wanted(params: &Map<String, Value>, about: &About) -> Result<Wanted, Fault> {
    let Some(filter) = params.get("notifications").and_then(Value::as_object) else {
        return Err(Fault::Params("`params.notifications` says what to listen to, an object".to_owned()));
    };
    let on = |key: &str| filter.get(key).and_then(Value::as_bool).unwrap_or(false);
    let uris = filter.get("resourceSubscriptions").and_then(Value::as_array).into_iter().flatten();
    let uris: Vec<String> = uris.filter_map(Value::as_str).map(str::to_owned).collect();
    if uris.len() > URIS_MAX {
        return Err(Fault::Params(format!("more than {URIS_MAX} resources cannot be followed at once")));
    }
    Ok(Wanted {
        tools: about.lists_change && on("toolsListChanged"),
        prompts: about.lists_change && on("promptsListChanged"),
        resources: about.lists_change && on("resourcesListChanged"),
        uris: if about.resources_change { uris } else { Vec::new() },
    })
}

/// Follows what changes for a modern client until it is gone: first what it gets, then each change.
pub(crate) async fn listen(
    host: &dyn Host,
    id: &Id,
    asked: &Asked,
    wanted: Wanted,
    outlet: &mpsc::Sender<Written>,
) {
    let mut filter = Map::new();
    for (key, on) in [
        ("toolsListChanged", wanted.tools),
        ("promptsListChanged", wanted.prompts),
        ("resourcesListChanged", wanted.resources),
    ] {
        if on {
            filter.insert(key.to_owned(), Value::from(true));
        }
    }
    if !wanted.uris.is_empty() {
        filter.insert("resourceSubscriptions".to_owned(), Value::from(wanted.uris.clone()));
    }
    // Before the acknowledgment, so that nothing falls in between.
    let changes = host.changes(asked, wanted).await;
    let meta = json!({ SUBSCRIPTION_KEY: id.to_json() });
    let params = json!({ "_meta": meta, "notifications": filter });
    if outlet.send(notification("notifications/subscriptions/acknowledged", &params).into()).await.is_ok() {
        tell(changes, Some(&meta), outlet, &asked.gone).await;
    }
}

/// Follows what changes for a legacy client until `gone`.
pub(crate) async fn follow(
    host: &dyn Host,
    asked: &Asked,
    wanted: Wanted,
    outlet: &mpsc::Sender<Written>,
    gone: &CancellationToken,
) {
    tell(host.changes(asked, wanted).await, None, outlet, gone).await;
}

async fn tell(
    mut changes: futures::stream::BoxStream<'static, Change>,
    meta: Option<&Value>,
    outlet: &mpsc::Sender<Written>,
    gone: &CancellationToken,
) {
    loop {
        let change = tokio::select! {
            change = changes.next() => change,
            () = gone.cancelled() => return,
        };
        let Some(change) = change else {
            // Nothing will change any more; a subscription stays open all the same.
            return gone.cancelled().await;
        };
        if outlet.send(told(&change, meta).into()).await.is_err() {
            return;
        }
    }
}

pub(super) fn told(change: &Change, meta: Option<&Value>) -> Value {
    let mut params = Map::new();
    if let Some(meta) = meta {
        params.insert("_meta".to_owned(), meta.clone());
    }
    let method = match change {
        Change::Tools => "notifications/tools/list_changed",
        Change::Prompts => "notifications/prompts/list_changed",
        Change::Resources => "notifications/resources/list_changed",
        Change::Resource(uri) => {
            params.insert("uri".to_owned(), Value::from(uri.as_str()));
            "notifications/resources/updated"
        }
    };
    notification(method, &Value::Object(params))
}

/// What a legacy client hears of without asking: every list that can change.
pub(crate) fn unasked(about: &About) -> Wanted {
    let on = about.lists_change;
    Wanted { tools: on, prompts: on, resources: on, uris: Vec::new() }
}

/// The end of a subscription that we end: its result.
pub(crate) fn ended(id: &Id) -> Value {
    super::frame::reply(
        Some(id),
        Ok(json!({ "resultType": "complete", "_meta": { SUBSCRIPTION_KEY: id.to_json() } })),
        Era::Modern,
    )
}
