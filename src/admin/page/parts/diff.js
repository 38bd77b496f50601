// A change of the config file as its lines, marked by sign as well as by colour.
import { html } from '../ui.js';
import { t } from '../i18n.js';

const KINDS = { '+': 'added', '-': 'removed', '@': 'place' };

export function Diff({ view }) {
  const lines = view.diff.split('\n').filter((line, at, all) => !(line === '' && at === all.length - 1) && !/^(---|\+\+\+) /.test(line));
  if (!view.diff) return html`<p class="faint">${t('diff.nothing')}</p>`;
  return html`<figure class="diff" role="region" tabindex="0" aria-label=${t('diff.title')}><figcaption class="mono">${view.file}</figcaption>
    ${lines.map((line, at) => html`<div key=${at} class="mono ${KINDS[line[0]] ?? ''}">${line || ' '}</div>`)}</figure>`;
}
