// The filter language on one page, as `claude-proxy help filter` tells it. A test holds the fields against the parser's.
import { html } from '../ui.js';
import { t } from '../i18n.js';
import { Dialog } from './dialog.js';

const OPERATORS = [
  [': =', 'filter.op_is'],
  ['!=', 'filter.op_not'],
  ['~', 'filter.op_has'],
  ['!~', 'filter.op_lacks'],
  ['> >= < <=', 'filter.op_compare'],
];

const FIELDS = [
  ['status', 'status>=400'],
  ['ending', 'ending:cut'],
  ['endpoint', 'endpoint:kimi'],
  ['tried', 'tried:kimi -endpoint:kimi'],
  ['fault', 'fault~timeout'],
  ['model', 'model~opus'],
  ['session', 'session:6e1f2a'],
  ['id', 'id~018f'],
  ['method', 'method:GET'],
  ['path', 'path~count_tokens'],
  ['stream', 'stream:false'],
  ['error', 'error~"no content"'],
  ['time', 'time>2h'],
  ['duration', 'duration>1m'],
  ['ttft', 'ttft>5s'],
  ['in', 'in>100k'],
  ['out', 'out<10'],
  ['cache_read', 'cache_read:0'],
  ['cache_creation', 'cache_creation>50k'],
  ['attempts', 'attempts>1'],
  ['size', 'size>1MiB'],
];

// `use` puts an example into the box.
export function FilterHelp({ onClose, use }) {
  const row = ([name, example]) => html`<tr key=${name}><th scope="row" class="mono">${name}</th><td>${t(`filter.${name}`)}</td><td><button class="chip mono" onClick=${() => use(example)}>${example}</button></td></tr>`;
  return html`<${Dialog} wide title=${t('filter.help')} onClose=${onClose}>
    <p>${t('filter.help_intro')}</p>
    <section><h3>${t('filter.operators')}</h3><div class="operators">${OPERATORS.map(([sign, key]) => html`<span key=${key}><code>${sign}</code> ${t(key)}</span>`)}</div></section>
    <section><h3>${t('filter.fields')}</h3><table class="filter-fields"><tbody>${FIELDS.map(row)}</tbody></table></section>
    <p class="faint">${t('filter.values')}</p>
  <//>`;
}
