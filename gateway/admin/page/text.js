// What the page says, in English and Chinese. t(name) is the current language's; {0} is filled in.
const TEXTS = {
  en: {
    instances: 'Instances', instance: 'Instance', add_instance: 'Add instance', add: 'Add', address: 'Address',
    add_text: 'Address of an engine, host:port or unix:/path. It gets requests as soon as it serves.',
    no_instances: 'No instances. Add one, or start the gateway with --engine.',
    state: 'State', requests: 'Running / waiting', kv_cache: 'KV cache', tokens_per_second: 'Tokens/s',
    cache_hits: 'Prefix hits', fingerprint: 'Fingerprint', history: 'Last hour', recent_requests: 'Requests', time: 'Time',
    request: 'Request', tokens_in_out: 'Tokens in → out', phases: 'Phases', duration: 'Duration', result: 'Result',
    no_requests: 'Nothing yet.', metrics: 'Prometheus metrics', readiness: 'Readiness', cancel: 'Cancel', close: 'Close',
    theme: 'Light, dark or as the system has it', theme_auto: 'Auto', theme_light: 'Light', theme_dark: 'Dark',
    key_title: 'Admin key', key_text: 'This port asks for a key (--admin-api-key). It is kept until this tab is closed.',
    key_use: 'Continue', key_wrong: 'The key was not accepted.', forget_key: 'Forget key',
    drain: 'Drain', enable: 'Enable', remove: 'Remove',
    drain_title: 'Drain {0}?',
    drain_text: 'It gets no new requests. Those that run there move to other instances when there is room, or end there.',
    remove_title: 'Remove {0}?',
    remove_text: 'It is drained and then forgotten. The engine itself keeps running.',
    serving: 'serving', loading: 'loading', restarting: 'restarting', draining: 'draining', drained: 'drained',
    removing: 'removing', unreachable: 'unreachable', unknown: 'unknown',
    breaker_open: 'breaker open', breaker_half_open: 'breaker half open', from_here: '{0} from here', of: 'of {0}',
    queue: 'Queue', queue_note: 'of {0} places', output: 'Output', input: 'Input', running: 'Running',
    first_token: 'First token', errors: 'Errors', last_minutes: 'in {0}', p99_note: 'p99 {0}', waiting: 'Waiting',
    tokens_s: 'tokens/s', throughput: 'Tokens per second', load: 'Requests', queued: 'Queued', at_engines: 'Waiting at engines',
    outcome: 'Requests that ended', succeeded: 'Succeeded', failed: 'Failed', refused: 'Refused', aborted: 'Client went',
    kv_usage: 'KV cache in use', used: 'In use', serving_count: '{0} of {1} instances serve', gateway_draining: 'Shutting down',
    all: 'All', active: 'Under way', erroneous: 'Errors', minutes: '{0} min', hour: '1 h', no_data: 'No data yet',
    offline: 'The gateway does not answer. Trying again.', failure: 'Failed: {0}',
    tokenize: 'Tokenize', prefill: 'Prefill', decode: 'Decode', queue_phase: 'Queue', done: 'Done',
    uptime: 'up {0}', model: 'Model', key: 'Key', endpoint: 'Endpoint', answer_id: 'Answer', choices: 'Choices',
    show_all: 'Show all {0}', show_less: 'Show fewer', moves: 'Moves', cached: '{0} cached', streamed: 'Streamed', yes: 'yes', no: 'no', status: 'Status', total: 'Total',
    finish_reason: 'Finish reason', prompt_tokens: 'Prompt tokens', completion_tokens: 'Answer tokens', other: '中文',
  },
  zh: {
    instances: '实例', instance: '实例', add_instance: '添加实例', add: '添加', address: '地址',
    add_text: '引擎地址：host:port 或 unix:/path。引擎就绪后即开始接收请求。',
    no_instances: '没有实例。请添加一个，或用 --engine 启动网关。',
    state: '状态', requests: '运行 / 等待', kv_cache: 'KV 缓存', tokens_per_second: 'Token/秒',
    cache_hits: '前缀命中', fingerprint: '指纹', history: '最近一小时', recent_requests: '请求', time: '时间',
    request: '请求', tokens_in_out: 'Token 输入 → 输出', phases: '阶段', duration: '耗时', result: '结果',
    no_requests: '暂无请求。', metrics: 'Prometheus 指标', readiness: '就绪状态', cancel: '取消', close: '关闭',
    theme: '浅色、深色或跟随系统', theme_auto: '自动', theme_light: '浅色', theme_dark: '深色',
    key_title: '管理密钥', key_text: '此端口需要密钥（--admin-api-key）。密钥保留到本标签页关闭为止。',
    key_use: '继续', key_wrong: '密钥无效。', forget_key: '清除密钥',
    drain: '排空', enable: '启用', remove: '移除',
    drain_title: '排空 {0}？',
    drain_text: '不再向它分配新请求。正在运行的请求在其他实例有空位时迁移过去，否则在原处完成。',
    remove_title: '移除 {0}？',
    remove_text: '先排空，然后从列表中移除。引擎进程本身继续运行。',
    serving: '服务中', loading: '加载中', restarting: '重启中', draining: '排空中', drained: '已排空',
    removing: '移除中', unreachable: '无法连接', unknown: '未知',
    breaker_open: '熔断', breaker_half_open: '熔断试探', from_here: '本网关 {0}', of: '共 {0}',
    queue: '排队', queue_note: '上限 {0}', output: '输出', input: '输入', running: '运行中',
    first_token: '首 Token', errors: '错误', last_minutes: '{0}内', p99_note: 'p99 {0}', waiting: '等待',
    tokens_s: 'token/秒', throughput: '每秒 Token 数', load: '请求数', queued: '网关排队', at_engines: '引擎内等待',
    outcome: '已结束的请求', succeeded: '成功', failed: '失败', refused: '被拒绝', aborted: '客户端断开',
    kv_usage: 'KV 缓存使用率', used: '已使用', serving_count: '{1} 个实例中 {0} 个在服务', gateway_draining: '正在关闭',
    all: '全部', active: '进行中', erroneous: '错误', minutes: '{0} 分钟', hour: '1 小时', no_data: '暂无数据',
    offline: '网关没有响应，正在重试。', failure: '失败：{0}',
    tokenize: '分词', prefill: '预填充', decode: '解码', queue_phase: '排队', done: '完成',
    uptime: '已运行 {0}', model: '模型', key: '密钥', endpoint: '端点', answer_id: '回答', choices: '候选数',
    show_all: '显示全部 {0} 条', show_less: '收起', moves: '迁移', cached: '缓存 {0}', streamed: '流式', yes: '是', no: '否', status: '状态码', total: '总计',
    finish_reason: '结束原因', prompt_tokens: '输入 Token', completion_tokens: '输出 Token', other: 'English',
  },
};

let language = stored('language') || (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en');

function t(name, ...values) {
  const text = TEXTS[language][name] ?? name;
  return values.reduce((filled, value, i) => filled.replace(`{${i}}`, value), text);
}

// Fills every element that names its text.
function translatePage() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  for (const node of document.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of document.querySelectorAll('[data-title]')) node.title = t(node.dataset.title);
  for (const node of document.querySelectorAll('[data-label]')) node.setAttribute('aria-label', t(node.dataset.label));
}
