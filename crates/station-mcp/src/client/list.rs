//! Listing what a server offers: all pages, within bounds, and only of what it declares.
//!
//! Pages are asked for directly and not by rmcp's own listing, which may answer from its cache: who asks here wants to
//! know what is there now, and wants to know when it could not be learned.

use super::{ConnectError, Connection};
use crate::convert::{self, ResourceKind};
use rmcp::ServiceError;
use rmcp::model::{
    ClientRequest, ErrorCode, ListPromptsRequest, ListResourceTemplatesRequest, ListResourcesRequest,
    ListToolsRequest, PaginatedRequestParams, RequestOptionalParam,
};
use rmcp::service::PeerRequestOptions;
use serde_json::Value;
use station_core::discovery::{DiscoveredResource, DiscoveredTool, Discovery};
use station_core::mirror;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument as _;

/// Pages of one list: a server that goes on longer is turning in circles.
const PAGES_MAX: usize = 200;

/// Entries of one list. The largest servers have some hundreds; ten thousand would drown every model and the catalog.
const ENTRIES_MAX: usize = 10_000;

/// The lists there are. The words are those of the protocol: its method, and the field of its answer.
#[derive(Clone, Copy, Debug)]
enum List {
    Tools,
    Resources,
    Templates,
    Prompts,
}

impl List {
    fn word(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    fn request(self, cursor: Option<String>) -> ClientRequest {
        let params = cursor.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
        match self {
            Self::Tools => ClientRequest::ListToolsRequest(asking(ListToolsRequest::default(), params)),
            Self::Resources => {
                ClientRequest::ListResourcesRequest(asking(ListResourcesRequest::default(), params))
            }
            Self::Templates => ClientRequest::ListResourceTemplatesRequest(asking(
                ListResourceTemplatesRequest::default(),
                params,
            )),
            Self::Prompts => ClientRequest::ListPromptsRequest(asking(ListPromptsRequest::default(), params)),
        }
    }
}

fn asking<M>(
    mut request: RequestOptionalParam<M, PaginatedRequestParams>,
    params: Option<PaginatedRequestParams>,
) -> RequestOptionalParam<M, PaginatedRequestParams> {
    request.params = params;
    request
}

impl Connection {
    /// Asks the server for everything it offers.
    ///
    /// # Errors
    ///
    /// When it does not answer all of it within `timeout`, breaks off, or offers more than can be kept.
    pub async fn list(&self, timeout: Duration) -> Result<Discovery, ConnectError> {
        let deadline = Instant::now() + timeout;
        let info = self.inner.peer.peer_info();
        let declared = info.as_ref().map(|info| &info.capabilities);
        // Some old servers declare nothing and have tools all the same: asking for these costs a request.
        let resources = declared.is_some_and(|declared| declared.resources.is_some());
        let prompts = declared.is_some_and(|declared| declared.prompts.is_some());
        let tools = declared.is_some_and(|declared| declared.tools.is_some()) || !(resources || prompts);

        let tools = if tools { self.entries(List::Tools, deadline, timeout).await? } else { Vec::new() };
        let (mut found, mut templates) = (Vec::new(), Vec::new());
        if resources {
            found = self.entries(List::Resources, deadline, timeout).await?;
            templates = self.entries(List::Templates, deadline, timeout).await?;
        }
        let prompts =
            if prompts { self.entries(List::Prompts, deadline, timeout).await? } else { Vec::new() };
        let mut tools = convert::tools(&tools);
        tools.retain(|tool| self.can_be_called(tool));
        self.know_tools(tools.iter().map(|tool| (tool.name.as_str(), &tool.input_schema)));
        Ok(Discovery {
            era: self.inner.era,
            tools,
            resources: resource_entries(&found, ResourceKind::Resource)
                .chain(resource_entries(&templates, ResourceKind::Template))
                .collect(),
            prompts: prompts.iter().filter_map(convert::prompt).collect(),
            capabilities: declared
                .and_then(|declared| serde_json::to_value(declared).ok())
                .unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            instructions: info.as_ref().and_then(|info| info.instructions.clone()),
        })
    }
}

impl Connection {
    /// Whether a tool can be called as the specification wants it: over HTTP, the modern era mirrors arguments into
    /// headers, and a tool that marks them wrongly is left out.
    fn can_be_called(&self, tool: &DiscoveredTool) -> bool {
        if !self.mirrors_arguments() {
            return true;
        }
        let marked = mirror::mirrors(&tool.input_schema);
        if let Err(why) = &marked {
            tracing::warn!(server = %self.inner.server, tool = %tool.name, why, "a tool is left out");
        }
        marked.is_ok()
    }
}

fn resource_entries(entries: &[Value], kind: ResourceKind) -> impl Iterator<Item = DiscoveredResource> {
    entries.iter().filter_map(move |entry| convert::resource(entry, kind))
}

impl Connection {
    /// All pages of one list.
    async fn entries(
        &self,
        list: List,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Vec<Value>, ConnectError> {
        let mut entries = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let asked = self.page(list, cursor);
            let mut page = match tokio::time::timeout_at(deadline, asked).await {
                Ok(page) => page?,
                Err(_) => {
                    return Err(
                        self.list_error(&format!("did not list its {} within {timeout:?}", list.word()))
                    );
                }
            };
            let Some(Value::Array(more)) = page.get_mut(list.word()).map(Value::take) else {
                return Err(
                    self.list_error(&format!("answered something that is no list of {}", list.word()))
                );
            };
            entries.extend(more);
            if entries.len() > ENTRIES_MAX {
                return Err(self.list_error(&format!("lists more than {ENTRIES_MAX} {}", list.word())));
            }
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() {
                return Ok(entries);
            }
        }
        Err(self.list_error(&format!("lists its {} on more than {PAGES_MAX} pages", list.word())))
    }

    async fn page(&self, list: List, cursor: Option<String>) -> Result<Value, ConnectError> {
        let request = list.request(cursor);
        let span = self.request_span(request.method());
        let asked = async {
            let peer = &self.inner.peer;
            peer.send_request_with_option(request, PeerRequestOptions::no_options())
                .await?
                .await_response()
                .await
        };
        let asked = asked.instrument(span.clone()).await;
        let outcome = match &asked {
            Ok(_) => "answered",
            Err(ServiceError::McpError(_)) => "refused",
            Err(_) => "unknown",
        };
        span.record("outcome", outcome);
        match asked {
            Ok(answer) => Ok(serde_json::to_value(answer).unwrap_or_default()),
            // Many servers declare resources and do not know their templates; others cannot list them just now (a database
            // that is away). Neither is a reason to be without their tools.
            Err(ServiceError::McpError(error)) if !matches!(list, List::Tools) => {
                if error.code != ErrorCode::METHOD_NOT_FOUND {
                    let (server, list) = (&self.inner.server, list.word());
                    let error = self.redaction().apply(&error.message);
                    tracing::warn!(%server, %list, %error, "a server does not list what it declares");
                }
                Ok(serde_json::json!({ list.word(): [] }))
            }
            Err(ServiceError::McpError(error)) => Err(self.list_error(&format!(
                "refused to list its {}: {} ({})",
                list.word(),
                error.message,
                error.code.0
            ))),
            Err(_) => Err(self.list_error(&self.breakage().await)),
        }
    }

    fn list_error(&self, told: &str) -> ConnectError {
        let sentence = format!("server `{}` {told}", self.inner.server);
        ConnectError { sentence, stderr: self.stderr() }
    }
}
