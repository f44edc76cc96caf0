//! Users: made, changed, removed, and their API keys.
//!
//! Whoever has the store and its key is the local administrator and needs none of this: it is for doors that others reach. What a
//! user shows to be known is [`sign_ins`](crate::sign_ins)'s.

use crate::{EnvironmentRef, Key, Station};
use station_core::{Action, Caller, EnvironmentId, Error, Kind, Micros, Result, Role, Scope, Secret, UserId};
use station_core::{BlobHash, is_number, near};
use station_store::{ApiKey, Last, NewApiKey, User};
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest name of a user and of a key: they are shown in tables.
pub(crate) const NAME_CHARS_MAX: usize = 64;

/// What every key begins with: tools that look for lost secrets know it by that.
pub const KEY_PREFIX: &str = "stn_";

/// A user as named by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserRef {
    /// By id.
    Id(UserId),
    /// By name.
    Name(String),
}

impl UserRef {
    /// Reads what a person typed: digits are an id, anything else a name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(id) if is_number(text) => Self::Id(UserId(id)),
            _ => Self::Name(text.to_owned()),
        }
    }
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name: 1 to 64 characters, not all digits.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// Where; an administrator sees all without.
    pub environments: Vec<EnvironmentRef>,
    /// To sign in with; `None` for one that has keys alone.
    pub password: Option<Secret>,
}

/// What changes of a user; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserEdit {
    /// What it may.
    pub role: Option<Role>,
    /// Where: exactly these.
    pub environments: Option<Vec<EnvironmentRef>>,
    /// To sign in with. Its sessions end.
    pub password: Option<Secret>,
}

/// Which users are wanted; `None` means any.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// With this role.
    pub role: Option<Role>,
    /// To whom this environment is assigned.
    pub environment: Option<EnvironmentRef>,
}

/// An API key to be made.
#[derive(Clone, Debug)]
pub struct KeyWish {
    /// What it is for.
    pub name: String,
    /// How much of what its user may; empty for all of it. To see is in every key.
    pub scopes: BTreeSet<Scope>,
    /// How long it holds; `None` for ever.
    pub valid_for: Option<Duration>,
}

impl Station {
    /// Users but the local one, by name.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an administrator; `NotFound` where there is no such environment.
    pub async fn list_users(&self, by: &Caller, filter: &UserFilter) -> Result<Vec<User>> {
        by.may(Action::ManageUsers)?;
        let environment = match &filter.environment {
            Some(named) => Some(self.environment(by, named).await?.id),
            None => None,
        };
        let mut users = self.store().users().await?;
        users.retain(|user| {
            filter.role.is_none_or(|role| user.role == role)
                && environment.is_none_or(|id| user.environments.contains_key(&id))
        });
        Ok(users)
    }

    /// One user: for an administrator any, for others themselves.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`.
    pub async fn show_user(&self, by: &Caller, user: &UserRef) -> Result<User> {
        self.find_user(by, user).await
    }

    /// Makes a user.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an administrator; `Conflict` where there is one of that name; `NotFound` where an environment
    /// does not exist; `Invalid` where name or password are no good.
    pub async fn create_user(&self, by: &Caller, new: NewUser) -> Result<User> {
        by.may(Action::ManageUsers)?;
        whole(by)?;
        check_name("a user", &new.name)?;
        let row = station_store::NewUser {
            environments: self.assigned(by, &new.environments).await?,
            password_hash: self.hashed(new.password.as_ref()).await?,
            name: new.name,
            role: new.role,
            key_hash: None,
        };
        let id = self.store().create_user(row, by.actor(), self.now()).await?;
        self.find_user(by, &UserRef::Id(id)).await
    }

    /// Changes a user; it holds from its next request on, and for its runs from their next call on. Everybody may change their own
    /// password.
    ///
    /// # Errors
    /// As [`Station::create_user`]; `Conflict` where the last administrator would be none any more.
    pub async fn update_user(&self, by: &Caller, user: &UserRef, edit: UserEdit) -> Result<User> {
        let found = self.find_user(by, user).await?;
        whole(by)?;
        if edit.role.is_some() || edit.environments.is_some() {
            by.may(Action::ManageUsers)?;
        }
        let environments = match &edit.environments {
            Some(environments) => Some(self.assigned(by, environments).await?),
            None => None,
        };
        let password_hash = self.hashed(edit.password.as_ref()).await?;
        let edit = station_store::UserEdit { role: edit.role, environments, password_hash };
        self.store().update_user(found.id, edit, by.actor(), self.now()).await?;
        self.find_user(by, &UserRef::Id(found.id)).await
    }

    /// Removes a user: its keys and sessions are good for nothing from then on, and its runs call no tool any more.
    ///
    /// # Errors
    /// `Forbidden` for anybody but an administrator; `NotFound`; `Conflict` for the last administrator.
    pub async fn delete_user(&self, by: &Caller, user: &UserRef) -> Result<User> {
        by.may(Action::ManageUsers)?;
        whole(by)?;
        let found = self.find_user(by, user).await?;
        // Only who needs no user may leave none.
        let last = if by.user == Caller::LOCAL_USER { Last::MayGo } else { Last::Stays };
        self.store().remove_user(found.id, last, by.actor(), self.now()).await?;
        Ok(found)
    }

    /// Makes an API key: an administrator for anybody, others for themselves and with no more than they have. The key is told this
    /// once, and kept nowhere.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`; `Invalid` where the name is no good.
    pub async fn create_api_key(
        &self,
        by: &Caller,
        user: &UserRef,
        wish: KeyWish,
    ) -> Result<(ApiKey, Secret)> {
        let owner = self.find_user(by, user).await?;
        check_name("a key", &wish.name)?;
        let now = self.now();
        let wished = wish.valid_for.map(|after| now.plus_ms(crate::lease::millis(after)));
        // A key makes none that outlives it.
        let expires_at = [wished, by.until].into_iter().flatten().min();
        let mut scopes = if wish.scopes.is_empty() { Scope::all() } else { wish.scopes };
        scopes.insert(Scope::Read);
        if let Some(more) = scopes.iter().find(|scope| !by.scopes.contains(scope)) {
            let sentence = format!("`{}` lacks the scope `{more}` and can give it to no key", by.name);
            return Err(Error::new(Kind::Forbidden, sentence).with_hint("name fewer scopes"));
        }
        let secret = Key::generate()?.to_hex();
        let new =
            NewApiKey { user: owner.id, name: wish.name, hash: hash_of(secret.expose()), scopes, expires_at };
        let id = self.store().create_api_key(new, by.actor(), now).await?;
        let made = self.store().api_key_of(id).await?;
        let made = made.ok_or_else(|| Error::not_found(format!("API key {id} was revoked at once")))?;
        Ok((made, Secret::new(format!("{KEY_PREFIX}{id}_{}", secret.expose()))))
    }

    /// API keys that were not revoked, of one user or of all, oldest first. Others than administrators see their own.
    ///
    /// # Errors
    /// `Forbidden`; `NotFound`.
    pub async fn list_api_keys(&self, by: &Caller, user: Option<&UserRef>) -> Result<Vec<ApiKey>> {
        let of = match user {
            Some(user) => Some(self.find_user(by, user).await?.id),
            None if by.may(Action::ManageUsers).is_ok() => None,
            None => Some(by.user),
        };
        self.store().api_keys(of).await
    }

    /// Revokes an API key: an administrator any, others their own.
    ///
    /// # Errors
    /// `NotFound`, also where it is somebody else's.
    pub async fn revoke_api_key(&self, by: &Caller, id: i64) -> Result<()> {
        if let Err(forbidden) = by.may(Action::ManageUsers) {
            in_person(by, forbidden)?;
            let key = self.store().api_key_of(id).await?.filter(|key| key.user == by.user);
            key.ok_or_else(|| ApiKey::missing(id))?;
        }
        self.store().revoke_api_key(id, by.actor(), self.now()).await
    }

    /// The first administrator, `admin`, with an API key that the operator has made: only where there is no user yet. Whether
    /// one was made.
    ///
    /// # Errors
    /// `Invalid` where it is no key.
    pub async fn adopt_admin_key(&self, key: &Secret) -> Result<bool> {
        let secret = secret_of(key).ok_or_else(|| {
            Error::invalid("the administrator's key is none of Station's").with_hint(
                "it is `stn_`, a word, `_` and 64 hex digits, e.g. `stn_first_$(openssl rand -hex 32)`",
            )
        })?;
        if self.store().has_users().await? {
            return Ok(false);
        }
        let by = Caller::local().named("administrator's key");
        let new = station_store::NewUser {
            name: "admin".to_owned(),
            role: Role::Admin,
            environments: Vec::new(),
            password_hash: None,
            key_hash: Some(hash_of(secret)),
        };
        match self.store().create_user(new, by.actor(), self.now()).await {
            // Another instance was faster.
            Err(error) if error.kind() == Kind::Conflict && self.store().has_users().await? => {
                return Ok(false);
            }
            made => made?,
        };
        Ok(true)
    }

    /// Whether there is any user but the local one: then nobody is known without credentials.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_users(&self) -> Result<bool> {
        self.store().has_users().await
    }

    /// The user a person means: for an administrator any, for others themselves. Whether another exists is not told.
    async fn find_user(&self, by: &Caller, user: &UserRef) -> Result<User> {
        let is_oneself = match user {
            UserRef::Id(id) => *id == by.user,
            UserRef::Name(name) => *name == by.name,
        };
        if let Err(forbidden) = by.may(Action::ManageUsers) {
            in_person(by, forbidden)?;
            if !is_oneself {
                return Err(no_user(user));
            }
        }
        let id = match user {
            UserRef::Id(id) => Some(*id).filter(|id| *id != Caller::LOCAL_USER),
            UserRef::Name(name) => self.store().user_named(name).await?.map(|(id, _)| id),
        };
        let found = match id {
            Some(id) => self.store().user(id).await?,
            None => None,
        };
        match found {
            Some(user) => Ok(user),
            None => {
                let users = self.store().users().await?;
                let hint = match user {
                    UserRef::Name(name) => near::hint(name, users.iter().map(|user| user.name.as_str())),
                    UserRef::Id(_) => None,
                };
                Err(no_user(user).with_hint(hint.unwrap_or_else(|| "`stn user list` shows them".to_owned())))
            }
        }
    }

    async fn assigned(&self, by: &Caller, environments: &[EnvironmentRef]) -> Result<Vec<EnvironmentId>> {
        let mut found = Vec::with_capacity(environments.len());
        for environment in environments {
            found.push(self.environment(by, environment).await?.id);
        }
        Ok(found)
    }

    async fn hashed(&self, password: Option<&Secret>) -> Result<Option<Secret>> {
        match password {
            Some(password) => self.passwords().hash(password).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Refuses whoever has less than all of its user's rights, or has them for a while: what they change of users would outgrow that.
pub(crate) fn whole(by: &Caller) -> Result<()> {
    if by.acting.is_none() && by.until.is_none() && by.scopes == Scope::all() {
        return Ok(());
    }
    let sentence = format!(
        "`{}` may not change users or passwords: its key or token has not all scopes, or ends",
        by.name
    );
    Err(Error::new(Kind::Forbidden, sentence)
        .with_hint("sign in, or use a key with all scopes that does not end"))
}

/// Refuses a run, and a key that may only see: neither makes keys.
fn in_person(by: &Caller, forbidden: Error) -> Result<()> {
    let is_narrow =
        by.acting.is_some() || Scope::ALL.iter().any(|it| *it != Scope::Admin && !by.scopes.contains(it));
    if is_narrow { Err(forbidden) } else { Ok(()) }
}

fn check_name(what: &str, name: &str) -> Result<()> {
    let is_plain = name.chars().all(|c| !c.is_control()) && name.trim() == name;
    if !name.is_empty() && is_plain && name.chars().count() <= NAME_CHARS_MAX && !is_number(name) {
        return Ok(());
    }
    Err(Error::invalid(format!("`{}` cannot be the name of {what}", name.escape_debug())).with_hint(format!(
        "use 1 to {NAME_CHARS_MAX} characters, not digits alone, without blanks around them"
    )))
}

fn no_user(user: &UserRef) -> Error {
    Error::not_found(match user {
        UserRef::Id(id) => format!("user {id} does not exist"),
        UserRef::Name(name) => format!("user `{name}` does not exist"),
    })
}

/// The secret part of a key: what stands behind its last `_`.
pub(crate) fn secret_of(key: &Secret) -> Option<&str> {
    let (_, secret) = key.expose().trim().strip_prefix(KEY_PREFIX)?.rsplit_once('_')?;
    (secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_hexdigit())).then_some(secret)
}

/// What is kept of a secret that has 256 bits of its own: no salt makes it harder to guess.
pub(crate) fn hash_of(secret: &str) -> String {
    BlobHash::of(secret.to_ascii_lowercase().as_bytes()).to_string()
}

/// When a key is over.
pub(crate) fn is_over(key: &ApiKey, now: Micros) -> bool {
    key.expires_at.is_some_and(|at| at <= now)
}
