//! What a column of a petition ledger can become, and the heads (表头) that mean it: data, in the words of common
//! ledgers. A new word is one more entry of a row.

/// What becomes of a column: a field, or one of the two below.
#[derive(Debug)]
pub struct Target {
    /// Name of the field, as rows of JSON lines have it: `accused.name`, `petitioner.phone`.
    pub name: &'static str,
    /// What users read.
    pub label: &'static str,
    /// Heads that mean it, folded, without blanks and marks; the first that fits wins.
    pub(super) heads: &'static [&'static str],
}

/// The column goes to the remarks, with its head.
pub const REMARKS: &str = "+";
/// The column is left out.
pub const IGNORE: &str = "-";
/// The column goes to what else is known of the petitioner, sealed.
pub(super) const PETITIONER_OTHER: &str = "petitioner.other";

const fn target(name: &'static str, label: &'static str, heads: &'static [&'static str]) -> Target {
    Target { name, label, heads }
}

/// Everything a column of a petition ledger can be.
pub static TARGETS: &[Target] = &[
    target(
        "ref",
        "外部编号",
        &["外部编号", "信访编号", "信访件编号", "编号", "登记号", "登记编号", "受理编号", "件号", "ref"],
    ),
    target(
        "received",
        "收到时间",
        &[
            "收到时间",
            "收件日期",
            "收信日期",
            "来信日期",
            "来访日期",
            "受理日期",
            "受理时间",
            "登记日期",
            "登记时间",
            "收到日期",
            "信访日期",
            "收件时间",
            "日期",
            "时间",
            "received",
        ],
    ),
    target(
        "channel",
        "信访形式",
        &[
            "信访形式",
            "信访方式",
            "信访渠道",
            "举报方式",
            "举报渠道",
            "反映方式",
            "反映渠道",
            "渠道",
            "形式",
            "channel",
        ],
    ),
    target("origin", "来源", &["来源", "信访来源", "件来源", "线索来源", "origin"]),
    target("repeat", "初次或重复", &["初次或重复", "初重信", "初信重信", "是否重复", "重复情况", "repeat"]),
    target("people", "联名或来访人数", &["联名或来访人数", "来访人数", "联名人数", "人数", "people"]),
    target("origin_number", "原编号", &["原编号", "上级编号", "交办编号", "转办编号", "origin_number"]),
    target("assigned_by", "交办文号", &["交办文号", "转办文号", "assigned_by"]),
    target(
        "assigned_due",
        "要求办结日期",
        &["要求办结日期", "要求办结时间", "限办日期", "办理期限", "办结期限", "assigned_due"],
    ),
    target("title", "标题", &["标题", "信访标题", "题目", "事由", "摘要", "信访摘要", "title"]),
    target(
        "text",
        "内容",
        &[
            "内容",
            "反映内容",
            "信访内容",
            "举报内容",
            "主要内容",
            "反映的主要问题",
            "反映主要问题",
            "主要问题",
            "反映问题",
            "问题描述",
            "问题概述",
            "内容摘要",
            "正文",
            "text",
        ],
    ),
    target("happened", "问题发生时间", &["问题发生时间", "发生时间", "发生日期", "案发时间", "happened"]),
    target("place", "地点", &["地点", "发生地点", "问题发生地", "属地", "所属乡镇", "乡镇", "地区", "place"]),
    target("nature", "信访性质", &["信访性质", "性质", "问题性质", "nature"]),
    target(
        "categories",
        "问题类别",
        &["问题类别", "问题类型", "违纪类型", "问题性质类别", "类别", "categories"],
    ),
    target(
        "accused.name",
        "被检举控告人姓名",
        &[
            "被检举控告人",
            "被检举控告人姓名",
            "被反映人",
            "被反映人姓名",
            "被举报人",
            "被举报人姓名",
            "被控告人",
            "被检举人",
            "被举报对象",
            "反映对象",
            "举报对象",
            "涉及人员",
            "accused",
        ],
    ),
    target(
        "accused.org",
        "被检举控告人单位",
        &[
            "被检举控告人单位",
            "被反映人单位",
            "被举报人单位",
            "被反映人工作单位",
            "被举报人工作单位",
            "被反映单位",
            "被举报单位",
            "被反映人所在单位",
            "涉及单位",
            "单位",
        ],
    ),
    target(
        "accused.post",
        "被检举控告人职务",
        &["被检举控告人职务", "被反映人职务", "被举报人职务", "单位及职务", "单位职务", "职务"],
    ),
    target(
        "accused.rank",
        "被检举控告人职级",
        &["被检举控告人职级", "被反映人职级", "被举报人职级", "职级", "级别", "行政级别"],
    ),
    target(
        "accused.political",
        "被检举控告人政治面貌",
        &["被检举控告人政治面貌", "被反映人政治面貌", "被举报人政治面貌"],
    ),
    target("accused_org", "被反映组织", &["被反映组织", "被举报组织", "被检举控告组织", "accused_org"]),
    target(
        "signed",
        "署名情况",
        &["署名情况", "署名", "是否署名", "是否实名", "实名匿名", "实名或匿名", "signed"],
    ),
    target("feedback", "要求反馈", &["要求反馈", "是否反馈", "是否要求反馈", "feedback"]),
    target(
        "petitioner.name",
        "检举控告人姓名",
        &[
            "检举控告人",
            "检举控告人姓名",
            "举报人",
            "举报人姓名",
            "信访人",
            "信访人姓名",
            "来信人",
            "来信人姓名",
            "来访人",
            "来访人姓名",
            "反映人",
            "反映人姓名",
            "控告人",
            "检举人",
            "署名人",
            "上访人",
            "诉求人",
        ],
    ),
    target(
        "petitioner.phone",
        "检举控告人电话",
        &[
            "检举控告人电话",
            "举报人电话",
            "举报人联系电话",
            "信访人电话",
            "反映人电话",
            "联系电话",
            "联系方式",
            "手机",
            "手机号",
            "手机号码",
            "电话",
            "电话号码",
        ],
    ),
    target(
        "petitioner.address",
        "检举控告人地址",
        &[
            "检举控告人地址",
            "举报人地址",
            "信访人地址",
            "反映人地址",
            "联系地址",
            "家庭住址",
            "住址",
            "地址",
            "通讯地址",
        ],
    ),
    target(
        "petitioner.org",
        "检举控告人工作单位",
        &["检举控告人单位", "举报人单位", "信访人单位", "举报人工作单位", "反映人单位"],
    ),
    target("petitioner.post", "检举控告人职务", &["举报人职务", "信访人职务", "反映人职务"]),
    target(
        "petitioner.id_number",
        "检举控告人身份证号",
        &["身份证", "身份证号", "身份证号码", "举报人身份证号", "信访人身份证号"],
    ),
    target(PETITIONER_OTHER, "检举控告人其他信息", &["举报人其他信息"]),
    target(
        "unit",
        "登记机构",
        &["登记机构", "登记单位", "受理单位", "受理机构", "承办单位", "办理单位", "经办单位", "unit"],
    ),
    target("method", "办理方式", &["办理方式", "处理方式", "method"]),
    target(
        "result",
        "办理结果",
        &["办理结果", "处理结果", "办结情况", "办理情况", "查处结果", "处置结果", "result"],
    ),
    target("truth", "属实程度", &["属实程度", "是否属实", "truth"]),
    target("remarks", "备注", &["备注", "说明", "remarks"]),
];

impl Target {
    /// It tells who the petitioner is.
    pub(super) fn identity(&self) -> bool {
        self.name.starts_with("petitioner.")
    }
}

/// A target as users read it.
pub fn words(target: &str) -> &'static str {
    match target {
        REMARKS => "备注（保留列名）",
        IGNORE => "不导入",
        _ => TARGETS.iter().find(|t| t.name == target).map_or("备注（保留列名）", |t| t.label),
    }
}
