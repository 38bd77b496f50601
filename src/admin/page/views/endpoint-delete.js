// Asks before an endpoint goes, and shows what goes with it.
import { call, endpointPath } from '../api.js';
import { t } from '../i18n.js';
import { endpointList, loadEndpoints } from '../store.js';
import { html, useEffect, useState } from '../ui.js';
import { Dialog, focusIfLost } from '../parts/dialog.js';
import { Diff } from '../parts/diff.js';
import { toast } from '../parts/notes.js';

export function DeleteDialog({ endpoint, onClose }) {
  const { name } = endpoint;
  const [state, setState] = useState({ view: null, problem: null });
  const ask = (refused = null) => call('DELETE', `${endpointPath(name)}?dry_run=true`).then((view) => setState({ view, problem: refused }), (problem) => setState({ view: null, problem }));
  useEffect(() => void ask(), []);
  const remove = async () => {
    const near = neighbour(name);
    try {
      await call('DELETE', endpointPath(name), { revision: state.view.revision });
      toast(t('endpoint.deleted_toast', { name }), { kind: 'good' });
      onClose();
    } catch (problem) {
      // The file as it is now, for another look.
      ask(problem);
    }
    await loadEndpoints();
    focusIfLost(`endpoint-${near}`);
  };
  const actions = html`<button onClick=${onClose}>${t('act.cancel')}</button><button class="danger solid" disabled=${!state.view} onClick=${remove}>${t('endpoint.delete_it', { name })}</button>`;
  return html`<${Dialog} title=${t('endpoint.delete_title', { name })} onClose=${onClose} actions=${actions}>
    <p>${t('endpoint.delete_means')}</p>
    ${state.problem && html`<p class="notice bad" role="alert">${state.problem.message}${state.problem.hint && html`<small>${state.problem.hint}</small>`}</p>`}
    ${state.view && html`<${Diff} view=${state.view} />`}
  <//>`;
}

// Who has the focus when it is gone.
function neighbour(name) {
  const names = endpointList.peek()?.endpoints.map((one) => one.name) ?? [];
  const at = names.indexOf(name);
  return names[at + 1] ?? names[at - 1];
}
