// What a test of one endpoint showed.
import { duration } from '../format.js';
import { t, word } from '../i18n.js';
import { html } from '../ui.js';
import { icon, shape } from '../parts/icons.js';

export function TestResult({ busy, view, problem, onClose }) {
  const close = onClose && !busy && html`<button class="icon-only ghost small" aria-label=${t('act.dismiss')} onClick=${onClose}>${icon('close')}</button>`;
  if (busy) return html`<div class="notice" role="status"><span class="spinner"></span><div>${t('test.busy')}</div></div>`;
  if (problem) return html`<div class="notice bad" role="status">${icon('alert')}<div>${problem.message}${problem.hint && html`<small>${problem.hint}</small>`}</div>${close}</div>`;
  if (view.healthy) {
    const said = view.model ? t('test.healthy_model', { time: duration(view.ms), model: view.model }) : t('test.healthy', { time: duration(view.ms) });
    return html`<div class="notice good" role="status">${shape('complete')}<div><strong>${t('test.is_healthy')}</strong> ${said}</div>${close}</div>`;
  }
  return html`<div class="notice bad" role="status">${shape('failed')}<div><strong>${t('test.unhealthy')}</strong> ${view.detail ?? word('fault', view.fault)}
    <small>${t('test.after', { time: duration(view.ms) })}${view.hint ? ` · ${view.hint}` : ''}</small></div>${close}</div>`;
}
