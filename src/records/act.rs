//! What the journal can say was done. Codes are stored and never reused; labels are what the auditor reads.

/// The verb of a journal entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Action {
    /// Stored code.
    pub code: u16,
    /// What users read.
    pub label: &'static str,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $label:literal;)*) => {
        $($(#[$doc])* pub const $name: Action = Action { code: $code, label: $label };)*
        /// Every verb.
        pub static ALL: &[Action] = &[$($name),*];
    };
}

actions! {
    /// The store was made.
    INIT = 1, "建库";
    /// The store was restored from a backup: a new epoch.
    RESTORE = 2, "恢复";
    /// A record was entered.
    CREATE = 10, "登记";
    /// A record was changed.
    UPDATE = 11, "修改";
    /// A record moved to another state.
    ADVANCE = 12, "办理";
    /// A chunk of records came in from a file.
    IMPORT = 13, "导入";
    /// A form was kept as a draft; the note says in what, and nothing of what it says.
    DRAFT = 14, "存草稿";
    /// A draft was thrown away.
    DRAFT_GONE = 15, "删除草稿";
    /// A record was opened.
    READ = 20, "查看";
    /// A list was shown.
    LIST = 21, "浏览列表";
    /// A search was answered.
    SEARCH = 22, "检索";
    /// The petitioner's identity was opened.
    REVEAL = 23, "查看检举控告人";
    /// An attachment was fetched.
    DOWNLOAD = 24, "下载附件";
    /// An attachment was looked at in the page.
    VIEW = 25, "查看附件";
    /// Somebody logged in.
    LOGIN = 30, "登录";
    /// A log-in failed.
    LOGIN_FAILED = 31, "登录失败";
    /// Somebody logged out.
    LOGOUT = 32, "退出";
    /// A password was set.
    PASSWORD = 33, "设置口令";
    /// Somebody chose the filters or columns of a list.
    CHOICE = 34, "设置列表";
    /// Article 16 refused a person; nothing else was kept.
    GATE = 40, "科级限制拦截";
    /// Something was asked for without the right to it.
    DENIED = 41, "越权拒绝";
    /// A backup was written and verified.
    BACKUP = 50, "备份";
    /// A backup failed.
    BACKUP_FAILED = 51, "备份失败";
    /// The backup recipients were set; refused: a proposal of others was ended.
    RECIPIENTS = 52, "设置备份密钥";
    /// The set-up link was printed.
    SETUP_LINK = 53, "生成初始化链接";
    /// Derived tables or the index were rebuilt.
    REINDEX = 54, "重建索引";
    /// A backup was begun by the schedule or in the page.
    BACKUP_BEGUN = 55, "开始备份";
    /// The backup schedule was set.
    BACKUP_SCHEDULE = 56, "设置备份计划";
    /// Old sets were removed.
    BACKUP_RETIRED = 57, "清理旧备份";
    /// After a failure of the disk, everything was checked and changes are taken again.
    RESUME = 58, "恢复写入";
    /// Other backup recipients were asked for.
    RECIPIENTS_WANTED = 59, "申请更换备份密钥";
    /// A key slot was added; the note says its kind and name.
    KEY_ADDED = 60, "增加密钥槽";
    /// A key slot was removed.
    KEY_REMOVED = 61, "删除密钥槽";
    /// A new generation of keys was begun.
    KEY_ROTATION = 62, "开始轮换密钥";
    /// Some record keys moved to the new generation.
    KEY_REWRAPPED = 63, "轮换密钥";
    /// Every record key lies under the new generation; the old ones are gone.
    KEY_ROTATED = 64, "完成轮换密钥";
    /// The store was unlocked by somebody, not by what lay there.
    UNLOCKED = 65, "解锁";
    /// A set was restored for trial by somebody with a key.
    DRILL = 70, "恢复演练";
    /// The holder of a backup key was asked for a sign.
    KEY_ASKED = 71, "发出密钥核对题";
    /// The holder gave it, or something else.
    KEY_ANSWERED = 72, "核对备份密钥";
    /// How often drills and keys are due was set.
    CHECKS_SET = 73, "设置演练与核对周期";
    /// An administrator confirmed that a restored store is right.
    RESTORE_CONFIRMED = 74, "确认恢复";
    /// Everything there is was read and compared; refused when something was wrong.
    SCRUB = 80, "数据自检";
    /// The keys of records were forgotten, and with them their content; the second person's act, or a restore's.
    PURGE = 90, "清除";
    /// Sealed files that only purged records had named were removed.
    PURGE_FILES = 91, "清除附件文件";
    /// A standby took over from the host it followed: a new epoch.
    PROMOTED = 95, "备机接替";
    /// What an old host had not delivered was written out for re-entry.
    LEFTOVER = 96, "导出未送出的内容";
    /// A second factor was set up or renewed by its owner.
    FACTOR = 100, "启用动态码";
    /// Its owner took it off.
    FACTOR_OFF = 101, "停用动态码";
    /// One administrator asked that a lost second factor be void.
    FACTOR_VOID = 102, "申请作废动态码";
    /// Another one confirmed it; refused: the request was ended.
    FACTOR_VOIDED = 103, "确认作废动态码";
    /// One administrator made a one-time password, which opens nothing yet.
    RESET = 104, "发一次性口令";
    /// Another one confirmed it; refused: the request was ended.
    RESET_CONFIRMED = 105, "确认一次性口令";
    /// The policy of log-ins was set.
    POLICY = 106, "设置登录安全策略";
    /// Somebody logged in with a recovery code, which is spent.
    LOGIN_RECOVERY = 107, "用恢复码登录";
    /// The system administrator ended somebody's session.
    SESSION_ENDED = 108, "结束会话";
    /// The set-up link was taken: the wizard is open in one browser.
    SETUP_OPENED = 110, "打开初始化向导";
    /// The table of units was saved in the wizard.
    SETUP_UNITS = 111, "初始化机构";
    /// The three administrators were entered in the wizard, one of them was corrected or got a new link.
    SETUP_PEOPLE = 112, "初始化三员";
    /// An administrator made a password and set up the second factor at the link from the wizard.
    ACTIVATED = 113, "激活账户";
    /// The wizard ended for good.
    SETUP_DONE = 114, "完成初始化";
    /// The auditor came to the console: what was seen of the journal; refused when it does not hold.
    AUDIT_CHECKPOINT = 120, "审计检查点";
    /// Entries of the journal were written into a workbook.
    AUDIT_EXPORT = 121, "导出审计记录";
    /// Entries of the journal, or the sheet of a day, were laid out for the printer.
    AUDIT_PRINT = 122, "打印审计记录";
    /// The auditor set the thresholds of alarms.
    ALARM_RULES = 123, "设置告警阈值";
    /// The auditor dealt with an alarm, and says how.
    ALARM_CLEARED = 124, "处理告警";
    /// Somebody has nothing to do with a record any more.
    RECUSED = 130, "声明回避";
    /// A same name turned out to be somebody else.
    NOT_THE_SAME = 131, "排除同名";
    /// How far a record may be known was set.
    LABELLED = 132, "调整安全标记";
    /// What an account may do was looked at and found right.
    REVIEWED = 133, "权限复核";
    /// What roles may do, or which office looks after which unit, was set.
    CHARTER = 134, "设置角色权限";
    /// Somebody leaves or changes: the system administrator opened the handover.
    HANDOVER = 140, "发起人员交接";
    /// Open work and drafts went to others; the note says how many, the sealed parts which.
    HANDED = 141, "交接工作";
    /// Everything was handed over: rights withdrawn, second factor void, account closed.
    LEFT = 142, "完成人员交接";
    /// A handover that does not take place, or a request to replace an administrator that was ended.
    HANDOVER_ENDED = 143, "结束人员变更";
    /// One administrator asked that another one be replaced.
    REPLACEMENT = 144, "申请更换三员";
    /// The third one confirmed it.
    REPLACED = 145, "确认更换三员";
    /// It was done at the host's console, without any of the three.
    REPLACED_BY_HOST = 146, "服务器上更换三员";
    /// Somebody proved once more who they are, before keys, exports or identities.
    PROVED = 150, "再次核对身份";
    /// Somebody asked for identities of petitioners as a file; the reason is sealed.
    IDENTITIES_WANTED = 151, "申请导出检举控告人";
    /// A second person agreed; refused: the request was ended.
    IDENTITIES_AGREED = 152, "确认导出检举控告人";
    /// The one file was made.
    IDENTITIES = 153, "导出检举控告人";
    /// The sheet of keys was opened.
    KEY_SHEET = 154, "打开密钥保管单";
    /// Authorities of certificates, and what they revoked, were set.
    TRUST = 155, "设置证书认可范围";
    /// Somebody bound their certificate to their account.
    CERTIFICATE = 156, "绑定证书";
    /// Its owner took it off.
    CERTIFICATE_OFF = 157, "解除证书";
    /// Text of attachments of these records can be searched from now on; nobody looked at it.
    ATTACHED = 160, "读取附件文字";
    /// Somebody keeps a search, or gave it another name.
    SEARCH_SAVED = 164, "保存检索";
    /// Somebody looked at what a search they keep finds.
    SEARCH_LOOKED = 165, "打开保存的检索";
    /// Somebody keeps a search no longer.
    SEARCH_REMOVED = 166, "删除保存的检索";
    /// Likely or known repeats of a petition were shown.
    REPEATS = 170, "查看重复信访";
    /// Somebody found that a petition repeats an earlier one.
    REPEAT = 171, "确认重复信访";
    /// Somebody found that two petitions are two matters.
    NO_REPEAT = 172, "排除重复信访";
    /// One of both was taken back.
    REPEAT_UNDONE = 173, "撤销重复信访结论";
    /// Records like one that is open were shown.
    SIMILAR = 174, "查看相似内容";
    /// Whether search finds what is there was tried with a sample of the records.
    SEARCH_TESTED = 175, "检索自检";
    /// Records were offered for what was typed so far into the search box.
    SUGGEST = 181, "检索提示";
    /// Everyday words for searches were set.
    WORDBOOK = 182, "设置俗语与法律用语";
    /// Somebody said why they look for a petitioner.
    IDENTITY_SEARCH = 185, "查找检举控告人";
}

/// Acts by which identities of petitioners are looked at or leave.
pub static IDENTIFIES: &[u16] =
    &[REVEAL.code, IDENTITIES_WANTED.code, IDENTITIES_AGREED.code, IDENTITIES.code];

/// Acts that show many records and are not part of a record's own story.
pub fn is_list(code: u16) -> bool {
    [LIST.code, SEARCH.code, SUGGEST.code].contains(&code)
}

/// Somebody came in, by whatever proof.
pub fn is_login(code: u16) -> bool {
    [LOGIN.code, LOGIN_RECOVERY.code].contains(&code)
}

/// The verb of a code.
pub fn by_code(code: u16) -> Option<Action> {
    ALL.iter().copied().find(|a| a.code == code)
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::HashSet<u16> = ALL.iter().map(|a| a.code).collect();
        assert_eq!(codes.len(), ALL.len());
    }
}
