//! A model for a tool server that asks for one while it is at work on a call of a run (`sampling/createMessage`).
//!
//! Whether, which, how long and how often is said by the server's file, as it was when the call passed the gate. The request
//! goes the road of every request to a model: it takes its turn at the provider's rate, its room in the budgets is made in the
//! append of its `EffectStarted`, it is sent after that commit, and settled with its answer, which is committed before the
//! server is told. Tokens, spans and the run's end are those of the run. What is different is that its call is out meanwhile:
//!
//! - The run keeps its slot, its lease and the call's turn at the server. Who waits for a turn must hold no other, so nothing is
//!   waited for that somebody could keep until we let go: a rate only takes time; room that is reserved by others is looked for
//!   again for half a minute, and they settle without us. A budget that is used up is a no, because a run cannot be parked in the
//!   middle of a call. So is a model whose runs are counted (`execution.model_max`), unless the run is counted with it.
//! - One request is out at a time, for all calls of the run, and no other request of the run is: there is one reservation, and
//!   what a server can take at once is one answer. Others wait in line.
//! - The time of a call stands still while it waits for us (`station_mcp`), that of the run does not. A cancel, and the end of the
//!   run's time, drop request and call together; the reservation is charged. Told to leave, a driver begins no request, and waits
//!   for one that is out as long as for its call. A call that ends without having waited drops its request.
//! - After a kill the call is unknown as it would be without any of this. The request is not asked again: whoever repeats the call
//!   has its server ask anew. Its reservation is charged by the next driver, and nothing else of it was counted.
//!
//! **Invariants:** whatever becomes of a request, the run stands where its call stands; a server is told that it got a no, and
//! why in a word, but neither limits nor names of models that it was not lent. What this is not: a server that works for nobody's
//! run, behind the gateway or for `stn mcp call`, is lent no model, since there is no journal that a reservation could stand in.

use crate::call::Permit;
use crate::drive::Drive;
use crate::journal::Standing;
use crate::lease::millis;
use crate::perform::{Asking, Replied, Seat, Started, ask};
use crate::spend::NoRoom;
use crate::{Clock, Station};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use station_core::answers::Refused;
use station_core::run::{Effect, Event};
use station_core::sampling::{self, Asked, Lent, Sampling};
use station_core::{Answer, EffectId, ModelRef, Result, Usage, budget, plural};
use station_llm::{AskError, Patience, Repeat, Request};
use station_mcp::{Hearer, Hears, Question, Told};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait to be looked at; one more is not heard.
const WAITING_MAX: usize = 64;

/// Room that others have reserved is looked for again after so long: requests to models take seconds.
const CROWDED_WAIT: Duration = Duration::from_secs(1);

/// So often.
const CROWDED_TRIES: u32 = 30;

/// Lends models to the servers of the calls that one turn has out.
pub(crate) struct Lender<'s> {
    told: mpsc::Receiver<Told>,
    borrowers: BTreeMap<EffectId, Borrower>,
    out: Option<Out<'s>>,
}

/// A call whose server may ask for a model.
struct Borrower {
    server: String,
    tool: String,
    sampling: Sampling,
    /// How often it has asked.
    requests: u32,
}

/// The request that is out, or waits for its turn.
struct Out<'s> {
    /// Its call.
    of: EffectId,
    /// The request, and since when, once it is begun.
    begun: Option<(EffectId, Instant)>,
    next: BoxFuture<'s, Step>,
}

/// What happened.
pub(crate) enum Step {
    /// A server asks for a model.
    Asks(Question),
    /// Its turn has come.
    Turn(Box<Wish>),
    /// A model was asked.
    Replied(Box<Replied>, oneshot::Sender<Result<Value, Value>>),
}

/// A request that may be sent.
pub(crate) struct Wish {
    of: EffectId,
    model: ModelRef,
    effect: Effect,
    asked: Asked,
    usage: Usage,
    /// How often there was no room for it.
    tries: u32,
    answer: oneshot::Sender<Result<Value, Value>>,
}

/// Why no model is asked.
struct Refusal {
    /// What the server is told.
    told: Refused,
    /// For people.
    sentence: String,
}

impl Refusal {
    fn new(told: &'static str, sentence: impl Into<String>) -> Self {
        Self { told: Refused::no(told), sentence: sentence.into() }
    }
}

/// How calls hear that their server asks for a model, and where that is told.
pub(crate) fn line() -> (Hearer, mpsc::Receiver<Told>) {
    let (outlet, told) = mpsc::channel(WAITING_MAX);
    (Hearer { client: Clock::effect_id().0, hears: Hears::Sampling, outlet }, told)
}

impl<'s> Lender<'s> {
    /// For the servers of what was `started`; `told` is what they ask.
    pub(crate) fn new(started: &[Started], told: mpsc::Receiver<Told>) -> Self {
        let borrowers = started.iter().filter_map(|started| match started {
            Started::Call { id, permit } => Some((*id, Borrower::of(permit)?)),
            Started::Ask { .. } | Started::Read { .. } => None,
        });
        Self { told, borrowers: borrowers.collect(), out: None }
    }

    /// What happens next; for ever nothing where no server asks. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Step {
        if let Some(out) = &mut self.out {
            let step = (&mut out.next).await;
            self.out = None;
            return step;
        }
        loop {
            match self.told.recv().await {
                Some(Told::Asks(question)) => return Step::Asks(question),
                Some(Told::Progress(_) | Told::Log(_)) => {}
                // Nobody is left who could ask.
                None => std::future::pending::<()>().await,
            }
        }
    }
}

impl Borrower {
    fn of(permit: &Permit) -> Option<Self> {
        let (server, tool, sampling) = permit.lends()?;
        let (server, tool, sampling) = (server.to_owned(), tool.to_owned(), sampling.clone());
        Some(Self { server, tool, sampling, requests: 0 })
    }
}

impl<'a> Drive<'a> {
    /// Goes on with what a server wants of a model.
    ///
    /// # Errors
    /// The store's, and the loss of the lease.
    pub(crate) async fn lend<'s>(
        &mut self,
        seat: &'s Seat<'_>,
        lender: &mut Lender<'s>,
        step: Step,
    ) -> Result<()>
    where
        'a: 's,
    {
        match step {
            Step::Asks(question) => lender.out = self.take_up(&mut lender.borrowers, question),
            Step::Turn(wish) => lender.out = self.begin_wish(seat, wish).await?,
            Step::Replied(replied, answer) => self.hand_over(*replied, answer).await?,
        }
        Ok(())
    }

    /// Keeps what a model answered, and then tells the server.
    async fn hand_over(
        &mut self,
        Replied { id, before, answer, ms }: Replied,
        to: oneshot::Sender<Result<Value, Value>>,
    ) -> Result<()> {
        for event in before {
            self.journal.add(self.machine.apply(event));
        }
        let (event, told) = match answer {
            Ok(answer) => {
                let told = sampling::result(&answer);
                // It is shown to no model again.
                (Event::Sampled { id, answer: Answer { thinking: None, ..answer }, ms }, told)
            }
            Err(AskError { failure, sentence, .. }) => {
                let told = Refused::no("the model did not answer");
                (Event::SampleFailed { id, failure: Some(failure), sentence, ms }, Err(told))
            }
        };
        self.settle(&event);
        self.journal.add(self.machine.apply(event));
        self.flush(Standing::Running).await?;
        // Who does not wait any more has ended its call, which is told next.
        drop(to.send(told.map_err(|refused| error(&refused))));
        Ok(())
    }

    /// Gives up the request of a call that has ended.
    pub(crate) fn stop_lending(&mut self, lender: &mut Lender<'_>) {
        let calls = self.machine.calls_out();
        let Some(out) = lender.out.take_if(|out| !calls.contains(&out.of)) else { return };
        let Some((id, since)) = out.begun else { return };
        let sentence = "its call ended before the model had answered".to_owned();
        self.charge_lost();
        let event = Event::SampleFailed { id, failure: None, sentence, ms: millis(since.elapsed()) };
        self.journal.add(self.machine.apply(event));
    }

    /// Looks at what a server asks. It waits for its turn then, if it may be asked at all.
    fn take_up<'s>(
        &mut self,
        borrowers: &mut BTreeMap<EffectId, Borrower>,
        question: Question,
    ) -> Option<Out<'s>> {
        let Question { effect: of, params, answer, .. } = question;
        // Of a call that has ended nobody is asked: dropped, its answer says so.
        let borrower = borrowers.get_mut(&of).filter(|_| self.machine.calls_out().contains(&of))?;
        borrower.requests = borrower.requests.saturating_add(1);
        match self.look_at(borrower, &params) {
            Ok((model, asked)) => {
                let Borrower { server, tool, .. } = &*borrower;
                let (server, tool) = (server.clone(), tool.clone());
                let effect =
                    Effect::Sample { of, server, tool, model: model.clone(), asked: Box::new(asked.clone()) };
                let usage = budget::estimate(&asked.conversation(), &asked.prepared());
                let limits = &self.station.config().rate_limits;
                let wait = self.station.rates().request(limits, &model, &usage, self.station.since_boot());
                Some(turn(wait, Wish { of, model, effect, asked, usage, tries: 0, answer }))
            }
            Err(refusal) => {
                // One that goes on asking fills no journal.
                let is_told = borrower.requests <= borrower.sampling.requests_max.saturating_add(1);
                self.refuse_model(of, &refusal, is_told, answer);
                None
            }
        }
    }

    fn look_at(&self, borrower: &Borrower, params: &Value) -> Result<(ModelRef, Asked), Refusal> {
        let sampling = &borrower.sampling;
        let max = sampling.requests_max;
        if borrower.requests > max {
            let sentence = format!(
                "it may ask {} within one call (`station.answers.sampling.requests_max`)",
                plural(max, "time")
            );
            return Err(Refusal::new("it was asked too often", sentence));
        }
        if self.signals.is_draining() {
            return Err(Refusal::new("no model is asked any more", "this Station is about to stop"));
        }
        let asked = Asked::read(params, sampling).map_err(|told| Refusal {
            sentence: format!("what it asks cannot be passed on: {}", told.message),
            told,
        })?;
        let own = self.machine.model();
        let unknown = |sentence: &str| Refusal::new("the model is not set up", sentence);
        let model = match &sampling.model {
            Lent::Own => own.cloned().ok_or_else(|| unknown("the run has no model"))?,
            Lent::Named(name) => {
                self.station.models().named(name).map_err(|error| unknown(error.sentence()))?
            }
        };
        let is_counted = self.station.at_once().model_max.of(&model.to_string()).is_some();
        if is_counted && own != Some(&model) {
            let sentence = format!(
                "model {model} is for so many runs at a time (`execution.model_max`), and this run is not among them; \
                 write `run` for the model that it asks itself"
            );
            return Err(Refusal::new("the model is in use", sentence));
        }
        Ok((model, asked))
    }

    /// Sends a request whose turn has come, if there is room for it.
    async fn begin_wish<'s>(&mut self, seat: &'s Seat<'_>, wish: Box<Wish>) -> Result<Option<Out<'s>>>
    where
        'a: 's,
    {
        if wish.answer.is_closed() {
            return Ok(None);
        }
        let id = Clock::effect_id();
        let request = (&wish.model, wish.usage);
        let refusal = match self.begin_sample(id, wish.effect.clone(), request).await? {
            Ok(()) => {
                self.lease.check()?;
                let (of, begun) = (wish.of, Some((id, Instant::now())));
                let next = send(self.station, seat, id, *wish).boxed();
                return Ok(Some(Out { of, begun, next }));
            }
            Err(NoRoom::Crowded(_)) if wish.tries < CROWDED_TRIES && !self.signals.is_draining() => {
                return Ok(Some(turn(CROWDED_WAIT, Wish { tries: wish.tries + 1, ..*wish })));
            }
            Err(NoRoom::Crowded(sentence) | NoRoom::Reached(sentence)) => {
                Refusal::new("there is no room for it in a budget", sentence)
            }
        };
        self.refuse_model(wish.of, &refusal, true, wish.answer);
        Ok(None)
    }

    fn refuse_model(
        &mut self,
        of: EffectId,
        refusal: &Refusal,
        is_told: bool,
        answer: oneshot::Sender<Result<Value, Value>>,
    ) {
        if is_told {
            let sentence = refusal.sentence.clone();
            self.journal.add(self.machine.apply(Event::SampleRefused { of, sentence }));
        }
        drop(answer.send(Err(error(&refusal.told))));
    }
}

/// The request comes up again after `wait`.
fn turn<'s>(wait: Duration, wish: Wish) -> Out<'s> {
    let of = wish.of;
    let next = async move {
        tokio::time::sleep(wait).await;
        Step::Turn(Box::new(wish))
    };
    Out { of, begun: None, next: next.boxed() }
}

/// Asks the model, for a server: nobody else hears what it says meanwhile.
async fn send(station: &Station, seat: &Seat<'_>, id: EffectId, wish: Wish) -> Step {
    let Wish { model, asked, answer, .. } = wish;
    let (messages, prepared) = (asked.conversation(), asked.prepared());
    let request = Request {
        messages: &messages,
        tools: &[],
        settings: &prepared.settings,
        output_schema: None,
        // A budget made room for one answer.
        repeat: Repeat::Unbilled,
        trace: seat.trace.map(|trace| trace.at(id.0)),
    };
    let asking =
        Asking { model: &model, request, prepared: &prepared, patience: Patience::Short, tell: &|_| {} };
    let replied = ask(station, seat, id, &asking).await;
    Step::Replied(Box::new(replied), answer)
}

/// As an error of the protocol.
fn error(refused: &Refused) -> Value {
    json!({ "code": refused.code, "message": refused.message })
}
