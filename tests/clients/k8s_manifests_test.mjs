// Renders the overlays of k8s/ and checks them: against the Kubernetes API's schemas, against the
// programs' own flags, and against each other (selectors, ports, addresses, grace periods, the
// restricted pod security standard).
//
//   node k8s_manifests_test.mjs          exit 77: kubectl or the npm packages are missing
import assert from 'node:assert/strict';
import {spawnSync} from 'node:child_process';
import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import test from 'node:test';
import {fileURLToPath} from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const k8s = path.join(here, '../../k8s');
const bin = process.env.VALLM_BIN_DIR ?? path.join(here, '../../build/release/bin');

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(77);
}

function run(...command) {
  const result = spawnSync(command[0], command.slice(1), {encoding: 'utf8'});
  assert.equal(result.status, 0, `${command.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

if (spawnSync('kubectl', ['version', '--client']).status !== 0) skip('kubectl not found');
let yaml;
try {
  yaml = await import('js-yaml');
  createRequire(import.meta.url).resolve('kubernetes-models/apps/v1/StatefulSet');
} catch {
  skip('npm packages missing: run tests/clients/install.sh');
}

async function validate(object) {
  const {[object.kind]: Model} = await import(`kubernetes-models/${object.apiVersion}/${object.kind}`);
  new Model(object).validate();
}

// The long options that a program's --help lists.
const flagsOf = Object.fromEntries(['engine', 'tokenizer', 'gateway'].map((name) => {
  const help = run(path.join(bin, `vallm-${name}`), '--help');
  return [name, new Set([...help.matchAll(/--([a-z0-9-]+)/g)].map((match) => match[1]))];
}));

const overlays = fs.readdirSync(path.join(k8s, 'overlays'));
assert.ok(overlays.length > 0);
for (const overlay of overlays) {
  const objects = yaml.loadAll(run('kubectl', 'kustomize', path.join(k8s, 'overlays', overlay)));
  const ofKind = (kind) => objects.filter((object) => object.kind === kind);
  const workloads = [...ofKind('StatefulSet'), ...ofKind('Deployment')];
  const containers = workloads.flatMap((workload) => workload.spec.template.spec.containers);
  const gatewayConfig = () => {
    const [map] = ofKind('ConfigMap').filter(({metadata}) => metadata.name.startsWith('vallm-gateway'));
    return yaml.load(map.data['gateway.yaml']);
  };

  test(`${overlay}: every object fits its schema`, async () => {
    assert.ok(objects.length >= 6);
    for (const object of objects) await validate(object);
  });

  test(`${overlay}: every flag is one that the program has`, () => {
    assert.equal(containers.length, 3);
    for (const {name, args} of containers) {
      for (const arg of args) {
        const flag = arg.match(/^--([a-z0-9-]+)=/)?.[1];
        assert.ok(flagsOf[name].has(flag), `${name}: ${arg}`);
      }
    }
    for (const key of Object.keys(gatewayConfig())) assert.ok(flagsOf.gateway.has(key), key);
  });

  test(`${overlay}: services find their pods and ports`, () => {
    for (const {metadata, spec} of ofKind('Service')) {
      const [target] = workloads.filter(({spec: {template}}) => Object.entries(spec.selector)
          .every(([label, value]) => template.metadata.labels[label] === value));
      assert.ok(target, metadata.name);
      const ports = target.spec.template.spec.containers.flatMap((container) => container.ports);
      for (const {port, targetPort} of spec.ports) {
        assert.ok(ports.some(({name, containerPort}) => [name, containerPort].includes(targetPort ?? port)),
            `${metadata.name}:${port}`);
      }
    }
  });

  test(`${overlay}: the gateway finds every engine pod`, () => {
    const [engine] = ofKind('StatefulSet');
    const [name, port] = gatewayConfig()['engine-dns'].split(':');
    const [service] = ofKind('Service').filter(({metadata}) => metadata.name === name);
    // Only a headless one has an address per pod, and only this way those of pods that still load.
    assert.equal(service.spec.clusterIP, 'None');
    assert.equal(service.spec.publishNotReadyAddresses, true);
    assert.equal(engine.spec.serviceName, name);
    assert.ok(engine.spec.template.spec.containers[0].ports.some(({containerPort}) => String(containerPort) === port));
    assert.ok(ofKind('Service').some(({metadata}) => `${metadata.name}:50060` === gatewayConfig().tokenizer));
  });

  test(`${overlay}: pods may drain before they are killed`, () => {
    for (const {spec: {template: {spec}}} of workloads) {
      const [container] = spec.containers;
      const drain = container.args.map((arg) => arg.match(/^--drain-timeout=(\d+)$/)?.[1]).find(Boolean) ??
          gatewayConfig()['drain-timeout'];
      const preStop = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
      assert.ok(spec.terminationGracePeriodSeconds > Number(drain) + preStop, container.name);
    }
  });

  test(`${overlay}: pods meet the restricted security standard`, () => {
    for (const {spec: {template: {spec}}} of workloads) {
      assert.equal(spec.securityContext.runAsNonRoot, true);
      assert.equal(spec.securityContext.seccompProfile.type, 'RuntimeDefault');
      assert.equal(spec.automountServiceAccountToken, false);
      for (const {securityContext, resources} of spec.containers) {
        assert.equal(securityContext.allowPrivilegeEscalation, false);
        assert.equal(securityContext.readOnlyRootFilesystem, true);
        assert.deepEqual(securityContext.capabilities, {drop: ['ALL']});
        assert.ok(resources.requests.cpu && resources.limits.memory);
      }
    }
  });
}
