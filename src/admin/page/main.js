// Puts the page together: the frame around the views, the banner when the proxy is gone, the keyboard.
import { locked } from './api.js';
import { connection, retryNow } from './events.js';
import { compact } from './format.js';
import { t, word } from './i18n.js';
import { href, route } from './route.js';
import { endpointList, now, running, stale, start, status } from './store.js';
import { effect, html, render } from './ui.js';
import { icon, shape } from './parts/icons.js';
import { Help, helpShown, listen } from './parts/keys.js';
import { Notes } from './parts/notes.js';
import { Since } from './parts/state.js';
import { Detail } from './views/detail.js';
import { Endpoints } from './views/endpoints.js';
import { Login } from './views/login.js';
import { Overview } from './views/overview.js';
import { Requests } from './views/requests.js';
import { System } from './views/system.js';

const VIEWS = { overview: Overview, endpoints: Endpoints, requests: Requests, system: System };

function App() {
  if (locked.value) return html`<${Login} /><${Notes} />`;
  const { view, id } = route.value;
  const shown = view === 'requests' && id ? html`<${Detail} key=${id} id=${id} />` : html`<${VIEWS[view]} key=${view} />`;
  return html`<a class="skip" href="#content" onClick=${skip}>${t('nav.skip')}</a>
    <div class="frame ${stale.value ? 'stale' : ''}"><${Sidebar} view=${view} /><div class="column"><${Gone} /><main id="content" tabindex="-1">${shown}</main></div></div>
    <${Help} /><${Notes} />`;
}

// The hash is the route, so the browser's own jump must not happen.
function skip(event) {
  event.preventDefault();
  document.getElementById('content').focus();
}

const worst = () => {
  const states = (endpointList.value?.endpoints ?? []).map((one) => one.state);
  return ['down', 'resting', 'degraded'].find((state) => states.includes(state));
};

function Sidebar({ view }) {
  const trouble = worst();
  const links = Object.keys(VIEWS).map((name) => html`<a key=${name} href=${href(name)} aria-current=${name === view ? 'page' : undefined} title=${`${t(`nav.${name}`)} (g ${name[0]})`}>
    ${icon(name)}<span>${t(`nav.${name}`)}</span>
    ${name === 'endpoints' && trouble && html`<em class="state ${trouble}" title=${word('state', trouble)}>${shape(trouble)}</em>`}
    ${name === 'requests' && running.value.length > 0 && html`<em class="num" title=${t('running.title')}>${compact(running.value.length)}</em>`}</a>`);
  return html`<aside><a class="brand" href=${href('overview')}><img src="icon.svg" alt="" width="22" height="22" /><span>claude-proxy</span></a>
    <nav aria-label=${t('nav.label')}>${links}</nav><${Foot} /></aside>`;
}

function Foot() {
  const view = status.value;
  const { state } = connection.value;
  return html`<div class="side-foot">
    <button class="ghost small" onClick=${() => (helpShown.value = true)}>${icon('keyboard')}${t('nav.keys')}</button>
    <p class="live ${state}"><i class="dot" aria-hidden="true"></i>${t(`feed.${state}`)}</p>
    ${view && html`<p class="faint num">${view.version} · ${t('nav.up')} <${Since} time=${view.started} /></p><p class="faint mono">${view.listen}</p>`}</div>`;
}

function Gone() {
  const { state, retryAt, attempt } = connection.value;
  if (state !== 'lost') return null;
  const left = Math.max(0, Math.ceil((retryAt - now.value) / 1000));
  return html`<div class="gone" role="alert">${icon('alert')}<div><strong>${t('feed.gone')}</strong> <span>${t(status.value ? 'feed.gone_old' : 'feed.gone_never')}</span></div>
    <span class="num" aria-live="off">${left > 0 ? t('feed.retry_in', { n: left }) : t('feed.retrying')}${attempt > 1 ? ` (${attempt})` : ''}</span><button class="small" onClick=${retryNow}>${t('feed.retry')}</button></div>`;
}

effect(() => {
  const down = (endpointList.value?.endpoints ?? []).filter((one) => one.state === 'down').length;
  const where = t(`nav.${route.value.view}`);
  document.title = `${down ? `(${down}) ` : ''}${where} · claude-proxy`;
});

start();
listen();
render(html`<${App} />`, document.getElementById('app'));
