//! The one error type: a kind for the machine, a Chinese sentence that tells the user what to do next, and a private
//! detail for the log. The public text never holds record content; whoever returns an error does not log it too.

use std::fmt;

/// What went wrong, in the terms a caller can act on. Each kind has an exit code and an HTTP status of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input breaks a rule; the user can mend it.
    Invalid,
    /// The actor may not do this, or the thing does not exist: both look the same from outside.
    Denied,
    /// Somebody else changed the record in between.
    Stale,
    /// The rule of article 16: nothing was stored.
    Refused,
    /// A bound was reached (size, rate, time); trying later or smaller can help.
    Busy,
    /// The account has a second factor, and no code was given: the command asks for it and comes again.
    Code,
    /// Whoever asks is to prove once more who they are, and did not: the form asks for it and comes again.
    Proof,
    /// The command line or a configuration file makes no sense.
    Usage,
    /// Stored bytes are not what was written.
    Damaged,
    /// The operating system refused (disk, file, socket).
    Io,
    /// A bug of ours.
    Internal,
}

/// An error with its public and private halves.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    public: String,
    detail: String,
}

/// Shorthand used on every floor.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a Chinese sentence for the user.
    pub fn new(kind: Kind, public: impl Into<String>) -> Self {
        Self { kind, public: public.into(), detail: String::new() }
    }

    /// Invalid input.
    pub fn invalid(public: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, public)
    }

    /// The one answer to both 'absent' and 'forbidden'.
    pub fn denied() -> Self {
        Self::new(Kind::Denied, "没有找到该内容，或您没有查看权限。请从列表重新进入，或联系安全保密管理员。")
    }

    /// Stored bytes failed a check; `what` names the place without content.
    pub fn damaged(what: impl fmt::Display) -> Self {
        Self::new(
            Kind::Damaged,
            format!("数据损坏：{what}。请停止使用，运行 jiceng doctor，并从已验证的备份恢复。"),
        )
    }

    /// Wrong use of a command or a configuration file.
    pub fn usage(public: impl Into<String>) -> Self {
        Self::new(Kind::Usage, public)
    }

    /// A bug of ours; `detail` goes to the log only.
    pub fn internal(detail: impl fmt::Display) -> Self {
        Self::new(Kind::Internal, "系统内部错误，操作未完成，已有数据不受影响。请重试；仍不行请联系信息化部门。")
            .with_detail(detail)
    }

    /// Adds the private detail. It must not hold record content either: logs are read by contractors.
    #[must_use]
    pub fn with_detail(mut self, detail: impl fmt::Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence for the user.
    pub fn public(&self) -> &str {
        &self.public
    }

    /// The detail for the log.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Exit code of the command contract: 1 refused or failed, 2 usage, 3 data is damaged.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::Damaged => 3,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} [{}]", self.kind, self.public, self.detail)
    }
}

impl std::error::Error for Error {}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::new(Kind::Io, "读写磁盘失败，操作未完成。请检查磁盘空间、挂载和目录权限后重试。").with_detail(e)
    }
}
