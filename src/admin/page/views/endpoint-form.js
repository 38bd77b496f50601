// Adds or changes an endpoint: fill in, test if wanted, see the change of the file, write it.
import { call, endpointPath, post, revision } from '../api.js';
import { t } from '../i18n.js';
import { loadEndpoints, status } from '../store.js';
import { html, useEffect, useRef, useState } from '../ui.js';
import { Dialog } from '../parts/dialog.js';
import { Diff } from '../parts/diff.js';
import { Field, Choice } from '../parts/field.js';
import { icon } from '../parts/icons.js';
import { toast } from '../parts/notes.js';
import { TestResult } from './test-result.js';

const OPTIONAL = ['path_prefix', 'http', 'proxy', 'ca_file'];
const AUTH_TYPES = ['api_key', 'auth_token', 'passthrough'];
const FIELDS = ['name', 'url', 'auth_type', 'auth_value', 'priority', ...OPTIONAL];

function initial(endpoint) {
  if (!endpoint) return { name: '', url: 'https://', auth_type: 'api_key', auth_value: '', priority: '1', path_prefix: '', http: '', proxy: '', ca_file: '' };
  const text = (value) => (value === null || value === undefined ? '' : String(value));
  return { ...Object.fromEntries(FIELDS.map((name) => [name, text(endpoint[name])])), auth_value: '', path_prefix: endpoint.path_prefix === '/v1' ? '' : text(endpoint.path_prefix), http: endpoint.http === '1.1' ? '' : text(endpoint.http) };
}

// What differs from what there is, as the API takes it; an emptied optional key is taken out.
function changeOf(values, before, isNew) {
  const change = {};
  for (const name of FIELDS) {
    const value = values[name].trim();
    if (name === 'auth_value' ? value === '' : !isNew && value === before[name]) continue;
    if (isNew && value === '') continue;
    if (name === 'priority') change.priority = Number.parseInt(value, 10);
    else change[name] = value === '' && OPTIONAL.includes(name) ? null : value;
  }
  if (values.auth_type === 'passthrough' && before.auth_type !== 'passthrough' && !isNew) change.auth_value = null;
  return change;
}

function ownFault(values, isNew, before) {
  if (!values.name.trim()) return { field: 'name', message: t('form.name_missing') };
  if (!/^https?:\/\/[^/]/.test(values.url.trim())) return { field: 'url', message: t('form.url_wrong') };
  const needsKey = values.auth_type !== 'passthrough' && (isNew || before.auth_type === 'passthrough');
  if (needsKey && !values.auth_value.trim()) return { field: 'auth_value', message: t('form.key_missing') };
  if (!/^-?\d+$/.test(values.priority.trim())) return { field: 'priority', message: t('form.priority_wrong') };
  return null;
}

export function EndpointForm({ endpoint, onClose }) {
  const isNew = !endpoint;
  const before = useRef(initial(endpoint)).current;
  const madeFrom = useRef(revision.peek());
  const [values, setValues] = useState(before);
  const [fault, setFault] = useState(null);
  const [test, setTest] = useState(null);
  const [preview, setPreview] = useState(null);
  const [busy, setBusy] = useState(false);
  const form = useRef(null);

  useEffect(() => {
    if (fault?.field) form.current?.elements[fault.field]?.focus();
  }, [fault]);
  const set = (name) => (value) => {
    setValues((old) => ({ ...old, [name]: value }));
    if (fault?.field === name) setFault(null);
  };
  const send = (query) => {
    const body = { ...changeOf(values, before, isNew), revision: madeFrom.current };
    return isNew ? post(`/api/endpoints${query}`, body) : call('PATCH', `${endpointPath(endpoint.name)}${query}`, body);
  };
  // Runs one step; a refusal goes to the field it is about.
  const attempt = async (work) => {
    const own = ownFault(values, isNew, before);
    setFault(own);
    if (own) return;
    setBusy(true);
    try {
      await work();
    } catch (problem) {
      setPreview(null);
      setFault(problem);
    }
    setBusy(false);
  };
  const review = (event) => {
    event?.preventDefault();
    return attempt(async () => setPreview(await send('?dry_run=true')));
  };
  const write = () => attempt(async () => {
    // What was shown is what is written.
    madeFrom.current = preview.revision ?? madeFrom.current;
    await send('');
    toast(t(isNew ? 'endpoint.added_toast' : 'endpoint.changed_toast', { name: values.name }), { kind: 'good' });
    onClose();
    loadEndpoints();
  });
  const tryOut = () => attempt(async () => {
    setTest({ busy: true });
    try {
      const name = isNew ? values.name.trim() : endpoint.name;
      setTest({ view: await post(endpointPath(name, 'test'), changeOf(values, before, isNew)) });
    } catch (problem) {
      setTest(null);
      throw problem;
    }
  });
  const takeNewest = async () => {
    await loadEndpoints();
    madeFrom.current = undefined;
    setFault(null);
    review();
  };
  const actions = preview
    ? html`<button onClick=${() => setPreview(null)}>${t('act.back')}</button><button class="primary" disabled=${busy} onClick=${write}>${icon('check')}${t('form.write')}</button>`
    : html`<button onClick=${tryOut} disabled=${busy}>${icon('bolt')}${t('act.test')}</button><span class="grow"></span>
        <button onClick=${onClose}>${t('act.cancel')}</button><button class="primary" type="submit" form="endpoint-form" disabled=${busy}>${t('form.review')}</button>`;
  return html`<${Dialog} wide title=${isNew ? t('endpoint.add') : t('endpoint.edit_title', { name: endpoint.name })} onClose=${onClose} actions=${actions}>
    ${fault && !shownAtField(fault) && html`<${Refused} problem=${fault} takeNewest=${takeNewest} />`}
    ${preview
      ? html`<p>${t('form.will_write')}</p><${Diff} view=${preview} />${preview.restart_needed?.length > 0 && html`<p class="notice warn">${t('config.restart_needed')} ${preview.restart_needed.join(', ')}</p>`}`
      : html`<form id="endpoint-form" ref=${form} noValidate onSubmit=${review} autocomplete="off"><${Fields} values=${values} set=${set} fault=${fault} endpoint=${endpoint} /></form>`}
    ${test && !preview && html`<${TestResult} ...${test} />`}
  <//>`;
}

const shownAtField = (fault) => FIELDS.includes(fault.field);

function Refused({ problem, takeNewest }) {
  const conflict = problem.status === 409 && problem.code === 'conflict';
  return html`<div class="notice bad" role="alert">${icon('alert')}<div><strong>${problem.message}</strong>${problem.hint && html`<small class="pre">${problem.hint}</small>`}
    ${conflict && html`<small>${t('form.conflict')}</small>`}</div>
    ${conflict && html`<button class="small" onClick=${takeNewest}>${t('form.take_newest')}</button>`}</div>`;
}

function Fields({ values, set, fault, endpoint }) {
  const shared = (name) => ({ name, label: t(`field.${name}`), value: values[name], onInput: set(name), fault: fault?.field === name ? fault : null });
  const kept = endpoint?.auth_value && t('field.auth_value_kept', { value: endpoint.auth_reference ?? endpoint.auth_value });
  const isOpen = OPTIONAL.some((name) => values[name] !== '' || fault?.field === name);
  return html`
    ${!endpoint && !status.value?.config.file && html`<p class="notice">${icon('alert')}<span>${t('form.first_file', { path: status.value?.config.would_write ?? 'config.yaml' })}</span></p>`}
    <div class="field-row"><${Field} ...${shared('name')} hint=${t('field.name_hint')} autofocus /><${Field} ...${shared('priority')} hint=${t('field.priority_hint')} inputmode="numeric" /></div>
    <${Field} ...${shared('url')} hint=${t('field.url_hint')} mono inputmode="url" />
    <${Choice} ...${shared('auth_type')} options=${AUTH_TYPES.map((type) => [type, t(`auth.${type}`), t(`auth.${type}_hint`)])} />
    ${values.auth_type !== 'passthrough' && html`<${Field} ...${shared('auth_value')} hint=${t('field.auth_value_hint')} placeholder=${kept || '\${ANTHROPIC_API_KEY}'} mono secret />`}
    <details class="more-fields" open=${isOpen}><summary>${t('form.more')}</summary>
      <div class="field-row"><${Field} ...${shared('path_prefix')} placeholder="/v1" hint=${t('field.path_prefix_hint')} mono />
        <${Choice} ...${shared('http')} options=${[['', '1.1'], ['2', '2'], ['auto', 'auto']]} /></div>
      <${Field} ...${shared('proxy')} placeholder="http://127.0.0.1:3128" hint=${t('field.proxy_hint')} mono />
      <${Field} ...${shared('ca_file')} placeholder="corp.pem" hint=${t('field.ca_file_hint')} mono />
    </details>`;
}
