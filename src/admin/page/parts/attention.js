// What an operator should look at now, each with what to do about it.
import { html } from '../ui.js';
import { t, word } from '../i18n.js';
import { href } from '../route.js';
import { endpointList, status } from '../store.js';
import { icon } from './icons.js';
import { Since } from './state.js';

export function Attention() {
  const items = [...ofStatus(status.value), ...ofEndpoints(endpointList.value?.endpoints ?? [])];
  if (!items.length) return null;
  return html`<ul class="attention">${items.map((one) => html`<li key=${one.key} class="notice ${one.kind}">${icon('alert')}
    <div><strong>${one.title}</strong> ${one.text}${one.hint && html`<small>${one.hint}</small>`}</div><a class="button small" href=${one.to}>${t('act.look')}</a></li>`)}</ul>`;
}

function ofStatus(view) {
  if (!view) return [];
  const { config, log } = view;
  const system = href('system');
  return [
    config.refused && { key: 'refused', kind: 'bad', title: t('config.refused'), text: config.refused.message, hint: config.refused.hint, to: system },
    log.error && { key: 'log', kind: 'bad', title: t('log.error'), text: log.error, to: system },
    log.dropped > 0 && { key: 'dropped', kind: 'warn', title: t('log.dropped', { n: log.dropped }), to: system },
    config.restart_needed?.length > 0 && { key: 'restart', kind: 'warn', title: t('config.restart_needed'), text: config.restart_needed.join(', '), to: system },
  ].filter(Boolean);
}

function ofEndpoints(endpoints) {
  const usable = endpoints.some((one) => one.state === 'up' || one.state === 'degraded');
  const none = endpoints.length > 0 && !usable && { key: 'none', kind: 'bad', title: t('endpoint.none_up'), text: '', to: href('endpoints') };
  const down = endpoints.filter((one) => one.state === 'down').map((one) => ({
    key: one.name,
    kind: 'bad',
    title: `${one.name} ${word('state', 'down')}`,
    text: html`<span class="num faint"><${Since} time=${one.since} /></span> ${one.reason ?? ''}`,
    hint: one.failed_probes ? t('endpoint.probes_failed', { n: one.failed_probes }) : '',
    to: href('endpoints', one.name),
  }));
  return [none, ...down].filter(Boolean);
}
