// The program itself: settings in force, how it is doing, and this page's own settings.
import { call, get, post } from '../api.js';
import { bytes, moment, number, span } from '../format.js';
import { t } from '../i18n.js';
import { language, LANGUAGES, theme, THEMES } from '../prefs.js';
import { proxyNow, status, useReturns } from '../store.js';
import { html, useEffect, useState } from '../ui.js';
import { icon } from '../parts/icons.js';
import { helpShown, useKeys } from '../parts/keys.js';
import { complain, toast } from '../parts/notes.js';
import { Since, Segments, State, copy } from '../parts/state.js';
import { toYaml } from '../yaml.js';

export function System() {
  const view = status.value;
  const { config, problem } = useConfig(view?.config.loaded);
  useKeys('nav.system', [{ keys: 'r', label: 'keys.reload', run: reload }]);
  return html`<div class="view system">
    <header class="view-head"><h1>${t('nav.system')}</h1></header>
    ${view && html`<div class="system-grid"><div><${Program} view=${view} /><${Log} log=${view.log} /></div><div><${Config} config=${view.config} /><${Page} token=${Boolean(config?.web_admin?.auth_token)} /></div></div>`}
    <${Effective} config=${config} problem=${problem} />
  </div>`;
}

const Fact = ({ label, children, mono }) => html`<div><dt>${label}</dt><dd class=${mono ? 'mono' : 'num'}>${children}</dd></div>`;

function Program({ view }) {
  const { endpoints } = view;
  return html`<section class="panel"><header><h2>${t('system.program')}</h2></header><dl class="facts">
    <${Fact} label=${t('system.version')}>${view.version}<//><${Fact} label=${t('system.uptime')}><span title=${moment(view.started)}>${span((proxyNow() - Date.parse(view.started)) / 1000)}</span><//>
    <${Fact} label=${t('system.listen')} mono>${view.listen}<//><${Fact} label=${t('system.admin')} mono>${view.admin}<//>
    <${Fact} label=${t('system.client_token')}>${t(view.client_token ? 'system.token_needed' : 'system.token_none')}<//><${Fact} label=${t('system.pid')}>${String(view.pid)}<//>
    <${Fact} label=${t('system.memory')}>${bytes(view.memory_bytes)}<//><${Fact} label=${t('system.watchers')}>${number(view.watchers)}<//>
    <${Fact} label=${t('system.requests')}>${number(view.totals.requests)}<//><${Fact} label=${t('system.in_flight')}>${number(view.in_flight)}<//>
    <${Fact} label=${t('system.refused')}>${number(view.totals.refused)}<//>
    <${Fact} label=${t('nav.endpoints')}><span class="states">${Object.entries(endpoints).filter(([, n]) => n > 0).map(([state, n]) => html`<span key=${state}>${n} <${State} state=${state} /></span>`)}</span><//>
  </dl></section>`;
}

async function reload() {
  try {
    await post('/api/config/reload');
    toast(t('config.reloaded'), { kind: 'good' });
  } catch (problem) {
    complain(problem);
  }
}

function Config({ config }) {
  return html`<section class="panel"><header><h2>${t('system.config')}</h2><button class="small" onClick=${reload}>${icon('reset')}${t('act.reload')}</button></header><dl class="facts">
      <${Fact} label=${t('config.file')} mono>${config.file ?? t('config.builtin')}<//>
      <${Fact} label=${t('config.loaded')}>${moment(config.loaded)} <span class="faint">(<${Since} time=${config.loaded} />)</span><//></dl>
    ${config.refused
      ? html`<div class="notice bad">${icon('alert')}<div><strong>${t('config.refused')}</strong> <span class="faint num">${moment(config.refused.time)}</span><div class="pre mono">${config.refused.message}</div>${config.refused.hint && html`<small>${config.refused.hint}</small>`}</div></div>`
      : html`<p class="notice good">${icon('check')}<span>${t('config.in_force')}</span></p>`}
    ${config.restart_needed.length > 0 && html`<div class="notice warn">${icon('alert')}<div><strong>${t('config.restart_needed')}</strong>${config.restart_needed.map((line) => html`<div class="mono" key=${line}>${line}</div>`)}</div></div>`}
    ${config.warnings.map((line) => html`<p class="notice warn" key=${line}>${icon('alert')}<span>${line}</span></p>`)}
  </section>`;
}

function Log({ log }) {
  return html`<section class="panel"><header><h2>${t('system.log')}</h2></header><dl class="facts">
      <${Fact} label=${t('log.directory')} mono>${log.directory}<//><${Fact} label=${t('log.size')}>${bytes(log.size)}<//>
      <${Fact} label=${t('log.written')}>${t('log.written_value', { n: log.written, size: bytes(log.bytes) })}<//>
      <${Fact} label=${t('log.dropped_label')}><span class=${log.dropped ? 'bad-text' : ''}>${number(log.dropped)}</span><//></dl>
    ${log.error && html`<p class="notice bad" role="alert">${icon('alert')}<span>${log.error}</span></p>`}
  </section>`;
}

async function logout() {
  try {
    await call('POST', '/api/logout');
    location.reload();
  } catch (problem) {
    complain(problem);
  }
}

function Page({ token }) {
  return html`<section class="panel"><header><h2>${t('system.page')}</h2></header><dl class="facts">
    <${Fact} label=${t('page.theme')}><${Segments} label=${t('page.theme')} options=${THEMES.map((one) => [one, t(`theme.${one}`)])} value=${theme.value} onChoose=${(one) => (theme.value = one)} /><//>
    <${Fact} label=${t('page.language')}><${Segments} label=${t('page.language')} options=${LANGUAGES.map((one) => [one, { en: 'English', zh: '中文' }[one]])} value=${language.value} onChoose=${(one) => (language.value = one)} /><//>
    <${Fact} label=${t('page.keyboard')}><button class="small" onClick=${() => (helpShown.value = true)}>${icon('keyboard')}${t('keys.title')} <kbd>?</kbd></button><//>
    ${token && html`<${Fact} label=${t('page.session')}><button class="small" onClick=${logout}>${t('act.logout')}</button><//>`}
  </dl></section>`;
}

// The settings in force, asked for again whenever others are taken.
function useConfig(loaded) {
  const [state, setState] = useState({ config: null, problem: null });
  const again = useReturns(state.problem);
  useEffect(() => {
    get('/api/config').then((view) => setState({ config: view?.config ?? view, problem: null }), (problem) => setState({ config: null, problem }));
  }, [loaded, again]);
  return state;
}

function Effective({ config, problem }) {
  const text = config ? toYaml(config) : '';
  const copied = () => copy(text).then(() => toast(t('act.copied'), { kind: 'good' }), complain);
  return html`<section class="panel"><header><h2>${t('system.effective')}</h2><span class="faint">${t('system.masked')}</span>
      <button class="small" onClick=${copied}>${icon('copy')}${t('act.copy')}</button></header>
    ${problem && html`<p class="notice bad">${problem.message}</p>`}
    <div class="yaml mono" tabindex="0" role="region" aria-label=${t('system.effective')}>${text.split('\n').map((line, at) => html`<${YamlLine} key=${at} line=${line} />`)}</div></section>`;
}

function YamlLine({ line }) {
  const [, lead, key, rest] = /^(\s*(?:- )?)([\w-]+:)?(.*)$/.exec(line);
  return html`<div>${lead}${key && html`<span class="yaml-key">${key}</span>`}<span class="yaml-value">${rest}</span></div>`;
}
