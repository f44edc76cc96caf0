//! Restricting a thread, and starting the program from it.
//!
//! Landlock's domain, the filter of calls and "no new privileges" belong to a thread and are handed down to what it starts,
//! so the shim makes a thread for that and nothing else: it itself stays as it was, outside of the domain, and can end its
//! program, which cannot end it. Limits belong to the process; the shim lives under them, too, and needs little.

use super::order::Order;
use super::{FILES, FILES_NEWEST, PORTS, SCOPES};
use landlock::{
    Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort, RulesetAttr as _,
    RulesetCreatedAttr as _, Scope, path_beneath_rules,
};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use station_core::sandbox::{Access, Entry, EntryKind, Network, Surroundings, made_beforehand, rules};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::{Child, Command};

/// Entries of one folder that are looked at; what is beyond stays out of reach. Nobody's home has so many, and listing more
/// would hold every start up.
const ENTRIES_MAX: usize = 100_000;

/// Why a program was not started.
pub(crate) enum Refusal {
    /// It could not be kept from what it must be kept from.
    Unkept(String),
    /// The system could not start it.
    NotStarted(io::Error),
}

impl Order {
    /// Starts `command` under this order.
    ///
    /// # Errors
    /// Where any part of it could not be set, or the program not be started.
    pub(crate) fn spawn(&self, mut command: Command) -> Result<Child, Refusal> {
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, || {
                self.restrict().map_err(Refusal::Unkept)?;
                command.spawn().map_err(Refusal::NotStarted)
            });
            let thread = thread.map_err(Refusal::NotStarted)?;
            thread
                .join()
                .unwrap_or_else(|_| Err(Refusal::Unkept("the thread that starts it broke".to_owned())))
        })
    }

    fn restrict(&self) -> Result<(), String> {
        let because = |what: &str, error: &dyn std::error::Error| format!("{what}: {error}");
        nix::sys::prctl::set_no_new_privs()
            .map_err(|error| because("it cannot be kept from new privileges", &error))?;
        if self.files {
            self.keep_files().map_err(|error| because("Landlock refused its rules", &error))?;
        }
        self.limit().map_err(|error| because("its limits were refused", &error))?;
        if self.calls {
            // Last, because what comes before makes calls itself.
            let program = self.filter().map_err(|error| because("its filter of calls is wrong", &error))?;
            seccompiler::apply_filter(&program)
                .map_err(|error| because("its filter of calls was refused", &error))?;
        }
        Ok(())
    }

    fn keep_files(&self) -> Result<(), landlock::RulesetError> {
        let surroundings = Surroundings {
            private: &self.private,
            home: self.home.as_deref(),
            folder: &self.folder,
            named: &self.named,
            programs: &self.programs,
        };
        for folder in made_beforehand(&self.sandbox, &surroundings) {
            // Where it cannot be made, the program cannot make it either, and says so if it needs it.
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).unwrap_or_default();
        }
        let rules = rules(&self.sandbox, &surroundings, &mut list);
        let of =
            |access: Access| rules.iter().filter(move |rule| rule.access == access).map(|rule| &rule.path);
        let mut ruleset = super::strict().handle_access(AccessFs::from_all(FILES))?;
        if self.ports {
            ruleset = ruleset.handle_access(AccessNet::from_all(PORTS))?;
        }
        let mut created = ruleset
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(FILES_NEWEST))?
            .scope(Scope::from_all(SCOPES))?
            .create()?
            .add_rules(path_beneath_rules(of(Access::All), AccessFs::from_all(FILES_NEWEST)))?
            .add_rules(path_beneath_rules(of(Access::Read), AccessFs::from_read(FILES_NEWEST)))?;
        if let (true, Network::Ports(ports)) = (self.ports, &self.sandbox.network) {
            let connect: BitFlags<AccessNet> = AccessNet::ConnectTcp.into();
            let rules =
                ports.iter().map(|port| Ok::<_, landlock::RulesetError>(NetPort::new(*port, connect)));
            created = created.add_rules(rules)?;
        }
        created.restrict_self()?;
        Ok(())
    }

    fn limit(&self) -> nix::Result<()> {
        let limits = self.sandbox.limits;
        let rows = [
            // A dump would hold the program's secrets, and lie where it happened to run.
            (Resource::RLIMIT_CORE, Some(0)),
            (Resource::RLIMIT_DATA, limits.memory_bytes_max),
            (Resource::RLIMIT_FSIZE, limits.file_bytes_max),
            (Resource::RLIMIT_NOFILE, limits.open_files_max),
        ];
        for (resource, limit) in rows {
            if let Some(limit) = limit {
                setrlimit(resource, limit, limit)?;
            }
        }
        Ok(())
    }

    fn filter(&self) -> Result<BpfProgram, seccompiler::BackendError> {
        let mut refused: BTreeMap<i64, Vec<SeccompRule>> =
            NEEDLESS.iter().map(|call| (*call, Vec::new())).collect();
        match &self.sandbox.network {
            Network::Open => {}
            Network::Closed => {
                refused.insert(libc::SYS_socket, Vec::new());
                refused.insert(libc::SYS_io_uring_setup, Vec::new());
            }
            Network::Ports(_) => {
                refused.insert(libc::SYS_socket, beside_tcp()?);
                refused.insert(libc::SYS_io_uring_setup, Vec::new());
            }
        }
        #[cfg(target_arch = "x86_64")]
        for (call, rules) in refused.clone() {
            // The same calls by their other numbers (x32).
            refused.insert(call | 0x4000_0000, rules);
        }
        let errno = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        SeccompFilter::new(refused, SeccompAction::Allow, errno, std::env::consts::ARCH.try_into()?)?
            .try_into()
    }
}

/// Calls that no tool server needs and that reach past a sandbox, into the kernel or into what others keep in it.
const NEEDLESS: [i64; 21] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_userfaultfd,
];

/// Sockets over which a list of TCP ports would be passed by: families and protocols that carry streams of their own.
fn beside_tcp() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let condition = |argument: u8, op: SeccompCmpOp, value: i32| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, op, u64::from(value.cast_unsigned()))
    };
    let other: Result<Vec<_>, _> =
        families.iter().map(|family| condition(0, SeccompCmpOp::Ne, *family)).collect();
    let mut rules = vec![SeccompRule::new(other?)?];
    for protocol in [libc::IPPROTO_MPTCP, libc::IPPROTO_SCTP, libc::IPPROTO_DCCP] {
        rules.push(SeccompRule::new(vec![condition(2, SeccompCmpOp::Eq, protocol)?])?);
    }
    Ok(rules)
}

/// What is in a folder.
fn list(folder: &Path) -> Option<Vec<Entry>> {
    let entries = std::fs::read_dir(folder).ok()?.take(ENTRIES_MAX).flatten();
    let entry = |entry: std::fs::DirEntry| {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let kind = if is_link { EntryKind::Link } else { EntryKind::Real };
        Entry { name: entry.file_name(), kind }
    };
    Some(entries.map(entry).collect())
}
