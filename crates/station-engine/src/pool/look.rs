//! What is asked of a server beside tool calls: looks, which change nothing, and following a resource.

use super::open::redacted;
use super::slot::Opened;
use super::{InUse, Outgoing, Pool, Reach, Wanted};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use station_core::EffectId;
use station_mcp::{Along, Passed};

/// A look at what a server offers.
#[derive(Clone, Debug, PartialEq)]
pub enum Look {
    /// What the resource at this address holds.
    Resource(String),
    /// A prompt with its arguments filled in.
    Prompt(String, Map<String, Value>),
    /// What an argument may be: the parameters of `completion/complete`.
    Completion(Map<String, Value>),
}

impl Look {
    /// As a request of the protocol.
    fn wanted(self) -> Wanted {
        match self {
            Self::Resource(uri) => {
                let params = Map::from_iter([("uri".to_owned(), Value::from(uri))]);
                Wanted { method: "resources/read", params }
            }
            Self::Prompt(name, arguments) => Wanted::named("prompts/get", &name, arguments),
            Self::Completion(params) => Wanted { method: "completion/complete", params },
        }
    }
}

impl Pool {
    /// Looks at what a server offers; `more` are parameters beside those of the look.
    pub(crate) async fn look(
        &self,
        reach: &Reach,
        look: Look,
        more: Map<String, Value>,
        effect: EffectId,
        along: Along,
    ) -> Passed {
        let mut wanted = look.wanted();
        wanted.params.extend(more);
        let (run, is_secret, turn) = (None, false, None);
        let outgoing = Outgoing { run, wanted, effect, is_secret, turn, may_send: &|| Ok(None), along };
        self.send(reach, outgoing).await
    }

    /// Follows a resource: an item for each time that it changed, until the connection ends. While it is followed, the
    /// connection is not idle.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(crate) async fn follow(
        &self,
        reach: &Reach,
        uri: &str,
        effect: EffectId,
    ) -> Result<BoxStream<'static, ()>, String> {
        let slot = self.slot(reach, None).map_err(|error| error.sentence().to_owned())?;
        let opened = self.connection(&slot, reach, None).await?;
        let followed = opened.connection.follow(uri, effect, self.connect_timeout(reach)).await;
        let followed = followed.map_err(|error| {
            let said = error["message"].as_str().unwrap_or("it cannot be followed");
            redacted(said, &slot, reach)
        })?;
        let held: (_, InUse, Opened) = (followed, slot, opened);
        Ok(futures::stream::unfold(held, |(mut followed, slot, opened)| async {
            followed.next().await.map(|()| ((), (followed, slot, opened)))
        })
        .boxed())
    }
}
