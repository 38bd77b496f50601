// How each endpoint fared over time: one band an endpoint, one cell a step.
import { html } from '../ui.js';
import { t } from '../i18n.js';
import { brief, number } from '../format.js';

// Failing cells are shorter as well as redder.
function kind({ ok = 0, failed = 0 } = {}) {
  if (ok + failed === 0) return 'quiet';
  if (failed === 0) return 'good';
  return ok === 0 ? 'bad' : 'mixed';
}

const TOPS = { good: 2, mixed: 6, bad: 10, quiet: 16 };

export function Ribbon({ times, steps, names }) {
  return html`<section class="panel plot" aria-label=${t('plot.ribbon')}>
    <header><h2>${t('plot.ribbon')}</h2></header>
    <div class="legend">${['good', 'mixed', 'bad', 'quiet'].map((one) => html`<span class="legend-item plain" key=${one}><i class="swatch cell-${one}"></i>${t(`ribbon.${one}`)}</span>`)}</div>
    <div class="ribbons">${names.map((name) => html`<${Band} key=${name} name=${name} cells=${steps.map((step) => step.endpoints[name])} times=${times} />`)}</div>
    <div class="ribbon-ends num faint"><span>${brief(times[0] * 1000)}</span><span>${brief(times.at(-1) * 1000)}</span></div>
  </section>`;
}

function Band({ name, cells, times }) {
  const ok = cells.reduce((all, cell) => all + (cell?.ok ?? 0), 0);
  const failed = cells.reduce((all, cell) => all + (cell?.failed ?? 0), 0);
  const said = t('ribbon.sum', { ok: number(ok), failed: number(failed) });
  return html`<div class="ribbon"><span class="ribbon-name" title=${name}>${name}</span>
    <svg viewBox="0 0 ${cells.length} 20" preserveAspectRatio="none" role="img" aria-label=${`${name}: ${said}`}>
      ${cells.map((cell, at) => html`<rect key=${at} class="cell-${kind(cell)}" x=${at + 0.06} width="0.88" y=${TOPS[kind(cell)]} height=${20 - TOPS[kind(cell)]}>
        <title>${`${brief(times[at] * 1000)} · ${t('ribbon.sum', { ok: cell?.ok ?? 0, failed: cell?.failed ?? 0 })}`}</title></rect>`)}
    </svg><span class="ribbon-sum num faint">${failed ? `${number(ok)}/${number(failed)}` : number(ok)}</span></div>`;
}
