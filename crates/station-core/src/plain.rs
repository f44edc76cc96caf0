//! Which values of variables may be told: a folder that a server cannot open helps whoever reads that it cannot.
//!
//! Nobody says of every variable whether it is secret, so all are hidden but those of which two things say that they
//! are not: their name, which must not be one that secrets have, and their form, which must be one that secrets do not
//! have. In doubt a value is hidden. **Invariant:** a value without blanks, slashes and dots that somebody could have
//! drawn at random is never plain, whatever it is called, unless its name is that of a setting and the value is words.

/// Longest value that is told: what is longer is data, and may have anything in it.
const VALUE_CHARS_MAX: usize = 200;

/// A run of letters and digits of this length in a path may be a token.
const TOKEN_CHARS_MIN: usize = 20;

/// Longest part of an address's path: `mcp`, `sse`, `api`, `v1` are; what is longer may be what opens the door.
const SEGMENT_CHARS_MAX: usize = 6;

/// Longest word of a setting: no word of a language that settings are written in is much longer.
const WORD_CHARS_MAX: usize = 20;

/// Parts that make a name that of a secret, wherever they stand in it.
const SECRET_PARTS: &[&str] =
    &["apikey", "credential", "passphrase", "passw", "private", "pwd", "secret", "token"];

/// Words that make a name that of a secret.
const SECRET_WORDS: &[&str] = &[
    "access",
    "auth",
    "authorization",
    "bearer",
    "cert",
    "code",
    "conn",
    "connection",
    "cookie",
    "cred",
    "creds",
    "dsn",
    "hash",
    "hook",
    "jwt",
    "key",
    "keys",
    "license",
    "login",
    "mnemonic",
    "otp",
    "pass",
    "pin",
    "salt",
    "seed",
    "session",
    "sid",
    "sig",
    "signature",
    "totp",
    "webhook",
];

/// Words that end the name of a setting that is a word.
const SETTING_WORDS: &[&str] = &[
    "branch",
    "dir",
    "env",
    "environment",
    "folder",
    "format",
    "host",
    "hostname",
    "lang",
    "level",
    "locale",
    "mode",
    "model",
    "namespace",
    "org",
    "owner",
    "path",
    "project",
    "region",
    "repo",
    "timezone",
    "tz",
    "version",
    "zone",
];

/// Folders at the root of a file system: what begins with one of them is a path, and nothing drawn at random.
const ROOTS: &[&str] = &[
    "app",
    "build",
    "builds",
    "data",
    "etc",
    "home",
    "media",
    "mnt",
    "opt",
    "private",
    "root",
    "run",
    "srv",
    "tmp",
    "Users",
    "usr",
    "var",
    "Volumes",
    "work",
    "workspace",
    "workspaces",
];

/// Whether the value of the variable, header or setting `name` may be told.
#[must_use]
pub fn is_plain(name: &str, value: &str) -> bool {
    let is_told = value.chars().count() <= VALUE_CHARS_MAX && !value.chars().any(char::is_control);
    is_told && !is_of_a_secret(name) && (is_path(value) || is_address(value) || is_setting(name, value))
}

/// Whether a variable of the process environment called `name` holds a secret: narrower than what keeps a value from being told,
/// because it is taken out of texts, in which other words stand.
#[must_use]
pub fn names_a_secret(name: &str) -> bool {
    has_secret_part(name) || words_of(name).last().is_some_and(|word| matches!(word.as_str(), "key" | "keys"))
}

/// Whether `name` is one that secrets have.
pub(crate) fn is_of_a_secret(name: &str) -> bool {
    has_secret_part(name) || words_of(name).iter().any(|word| SECRET_WORDS.contains(&word.as_str()))
}

fn has_secret_part(name: &str) -> bool {
    let joined: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SECRET_PARTS.iter().any(|part| joined.contains(part))
}

/// The words of `SOME_NAME`, `some-name` and `someName`, in lower case.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let is_end = !c.is_alphanumeric() || (was_lower && c.is_uppercase());
        if is_end {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A path from the root of a file system, or one of words from here or from home.
fn is_path(value: &str) -> bool {
    if let Some(rest) = value.strip_prefix('/') {
        let mut segments = rest.split('/');
        return segments.next().is_some_and(|first| ROOTS.contains(&first))
            && segments.all(|segment| is_file_name(segment) && !may_be_token(segment));
    }
    let relative = ["~/", "./", "../"].iter().find_map(|start| value.strip_prefix(start));
    relative.is_some_and(|rest| rest.split('/').all(|segment| segment.is_empty() || is_words(segment)))
}

/// No list of paths and no pair of a path and something else.
fn is_file_name(segment: &str) -> bool {
    segment.chars().all(|c| c.is_alphanumeric() || " -_.+~".contains(c))
}

fn may_be_token(segment: &str) -> bool {
    segment.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() >= TOKEN_CHARS_MIN)
}

/// Where something listens: a host of words, a port, a short path. No user, no query, nothing long.
fn is_address(value: &str) -> bool {
    let rest = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let Some((authority, path)) = rest.map(|rest| rest.split_once('/').unwrap_or((rest, ""))) else {
        return false;
    };
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_short = |segment: &str| segment.len() <= SEGMENT_CHARS_MAX && is_words(segment);
    is_words(host)
        && port.parse::<u16>().is_ok()
        && path.split('/').filter(|it| !it.is_empty()).count() <= 2
        && path.split('/').all(|segment| segment.is_empty() || is_short(segment))
}

/// Words under a name that asks for a word.
fn is_setting(name: &str, value: &str) -> bool {
    words_of(name).last().is_some_and(|word| SETTING_WORDS.contains(&word.as_str()))
        && value.split('/').all(is_words)
}

/// Words and small numbers, joined by `-`, `_`, `.` and blanks: `us-east-1`, `gpt-4o` is none, `db01.example.com`.
fn is_words(text: &str) -> bool {
    text.split(['-', '_', '.', ' ']).all(is_word) && !text.is_empty()
}

/// Letters as words have them, small or large or with a large first one, with a small number behind them; or nothing, or
/// a small number.
fn is_word(text: &str) -> bool {
    let letters = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let rest = letters.get(letters.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    let has_case = letters.chars().all(char::is_alphabetic)
        && (rest.chars().all(char::is_lowercase) || letters.chars().all(char::is_uppercase));
    has_case && letters.chars().count() <= WORD_CHARS_MAX && text.len() - letters.len() <= 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expected: bool, rows: &[(&str, &str)]) {
        for (name, value) in rows {
            assert_eq!(is_plain(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn folders_addresses_and_settings_are_told() {
        check(
            true,
            &[
                ("SAMPLES", "/home/user/.config/station/environments/demo/samples"),
                ("SAMPLES", "/tmp/tmp.aB3dE6gH9k/environments/demo/samples"),
                ("ROOT_DIR", "/srv/My Projects/v2.1"),
                ("ROOT", "~/projects/station"),
                ("ROOT", "../shared/docs"),
                ("ENDPOINT", "http://localhost:8080/mcp"),
                ("ENDPOINT", "https://api.example.com/v1"),
                ("ENDPOINT", "http://127.0.0.1:3000"),
                ("AWS_REGION", "eu-central-1"),
                ("logLevel", "WARNING"),
                ("DB_HOST", "db01.internal.example.com"),
                ("GITHUB_REPO", "cloudshipai/station"),
            ],
        );
    }

    #[test]
    fn what_a_secret_is_called_is_not_told() {
        check(
            false,
            &[
                ("TOKEN_PATH", "/home/user/token"),
                ("API_KEY", "/home/user/key"),
                ("apiKey", "/home/user/key"),
                ("X-Api-Key", "http://localhost:8080"),
                ("Authorization", "./basic"),
                ("SLACK_WEBHOOK", "http://localhost:8080"),
                ("SENTRY_DSN", "http://localhost:8080"),
                ("DB_PASSWORD_ENV", "production"),
                ("PASSWORD", "~/projects"),
                ("dbPwd", "/srv/data"),
                ("AWS_SECRET_ACCESS_KEY", "/tmp/bPxRfiCYEXAMPLEKEY"),
            ],
        );
    }

    #[test]
    fn what_a_secret_looks_like_is_not_told() {
        check(
            false,
            &[
                ("X", ""),
                ("X", "sunshine"),
                ("X", "correct horse battery staple"),
                ("X", "correct-horse-battery-staple"),
                ("X", "hunter2hunter2"),
                ("X", "sk-ant-api03-AbCdEf"),
                ("X", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
                ("X", "AKIAIOSFODNN7EXAMPLE"),
                ("X", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
                ("X", "123456789012"),
                ("X", "550e8400-e29b-41d4-a716-446655440000"),
                // Base64 has slashes, and may begin with one; so may the salts of bcrypt with a dot.
                ("X", "/9j/4AAQSkZJRgABAQAAAQABAAD"),
                ("X", "/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                ("X", "./N9qo8uLOickgx2ZMRZoMye"),
                ("X", "/home/user/.tokens/ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
                ("X", "https://user:sunshine@example.com"),
                ("X", "https://sunshine@example.com"),
                ("X", "https://example.com/?t=1"),
                ("X", "https://example.com/#t"),
                ("X", "https://hooks.example.com/services/T0/B0"),
                ("X", "https://eo3xyz9k2.m.example.net"),
                ("X", "https://example.com:sunshine/"),
                ("X", "postgres://reader:sunshine@db/app"),
                ("X", "/home/user\n/srv"),
                ("X", "/srv/data:sunshine"),
                ("MYSQL_ROOT", "sunshine"),
                ("X", "/srv/data?key=sunshine"),
                ("X_HOST", "s3cr3t-v4lue"),
                ("X_HOST", "kX9vQ2mZ"),
                ("X_HOST", "abcdefghijklmnopqrstuvwxyz"),
                ("X_HOST", "db,sunshine"),
                ("HOSTS_OF_X", "production"),
            ],
        );
        check(false, &[("X", &format!("/srv/{}", "a/".repeat(VALUE_CHARS_MAX)))]);
    }
}
