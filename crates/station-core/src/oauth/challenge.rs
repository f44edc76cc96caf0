//! What a server says when it wants a token, or one that is good for more: the header `WWW-Authenticate`.

/// A challenge of the scheme `Bearer` (RFC 6750, section 3; `resource_metadata` is RFC 9728's).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the server says who gives out its tokens.
    pub resource_metadata: Option<String>,
    /// The scopes that the request needs.
    pub scope: Option<String>,
    /// Whether a token was there and is not good for this request (`insufficient_scope`).
    pub needs_more: bool,
}

impl Challenge {
    /// Reads the headers of an answer with `status` 401 or 403; `None` where they ask for no token of this scheme. A 401
    /// asks for one whatever it says beside that; a 403 only where it says that the token is good for too little.
    #[must_use]
    pub fn read<'a>(status: u16, headers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut found = None;
        for header in headers {
            found = found.or_else(|| bearer(header));
        }
        match status {
            401 => Some(Self { needs_more: false, ..found.unwrap_or_default() }),
            403 => found.filter(|challenge| challenge.needs_more),
            _ => None,
        }
    }
}

/// The first challenge of the scheme `Bearer` in a header, which may hold several of several schemes.
fn bearer(header: &str) -> Option<Challenge> {
    let mut challenge: Option<Challenge> = None;
    for piece in pieces(header) {
        let (before, value) =
            piece.split_once('=').map_or((piece, None), |(name, value)| (name, Some(value)));
        let mut words = before.split_whitespace();
        let (first, second) = (words.next().unwrap_or_default(), words.next());
        let name = match (second, value) {
            // `Bearer`, `Bearer name=value`: a new challenge begins.
            (Some(_), _) | (None, None) => {
                if challenge.is_some() {
                    break;
                }
                challenge = first.eq_ignore_ascii_case("bearer").then(Challenge::default);
                second.unwrap_or_default()
            }
            (None, Some(_)) => first,
        };
        let (Some(challenge), Some(value)) = (&mut challenge, value) else { continue };
        match name.to_ascii_lowercase().as_str() {
            "resource_metadata" => challenge.resource_metadata = Some(unquoted(value)),
            "scope" => challenge.scope = Some(unquoted(value)).filter(|scope| !scope.is_empty()),
            "error" => challenge.needs_more = unquoted(value) == "insufficient_scope",
            _ => {}
        }
    }
    challenge
}

/// The parts between commas that stand outside of quotes.
fn pieces(header: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    header
        .split(move |c| {
            let ends = c == ',' && !is_quoted;
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                _ => {}
            }
            ends
        })
        .map(str::trim)
        .filter(|piece| !piece.is_empty())
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::with_capacity(inner.len());
    let mut is_escaped = false;
    for c in inner.chars() {
        if c == '\\' && !is_escaped {
            is_escaped = true;
        } else {
            is_escaped = false;
            text.push(c);
        }
    }
    text
}
