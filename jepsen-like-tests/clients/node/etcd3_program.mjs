// Node's etcd3: the usage of its documentation. Arguments: host, port.
import { Etcd3, EtcdLockFailedError } from 'etcd3';

const [host, port] = process.argv.slice(2);
const client = new Etcd3({ hosts: `http://${host}:${port}` });
const space = client.namespace('clients/node/');
let failed = false;

async function step(name, work) {
  try {
    console.log(`ok ${name} ${JSON.stringify(await work()) ?? ''}`.trimEnd());
  } catch (error) {
    failed = true;
    console.log(`FAIL ${name} ${error.constructor.name}: ${error.message}`.replaceAll('\n', ' '));
  }
}

async function refused(work) {
  try {
    await work();
  } catch (error) {
    return `${error.constructor.name}: ${error.message}`;
  }
  throw new Error('not refused');
}

await step('put_and_get', async () => {
  await space.put('a').value('one');
  await space.put('json').value(JSON.stringify({ n: 1 }));
  return [await space.get('a').string(), await space.get('json').json(), await space.get('none')];
});

await step('prefixes', async () => {
  for (const name of ['x', 'y', 'z']) await space.put(`list/${name}`).value(name);
  const all = await space.getAll().prefix('list/').strings();
  const keys = await space.getAll().prefix('list/').sort('Key', 'Descend').limit(2).keys();
  const count = await space.getAll().prefix('list/').count();
  const gone = await space.delete().prefix('list/');
  return [all, keys, count, gone.deleted];
});

await step('transaction', async () => {
  const make = () =>
    space.if('t', 'Create', '==', 0).then(space.put('t').value('made')).else(space.get('t')).commit();
  const [first, second] = [await make(), await make()];
  return [first.succeeded, second.succeeded, second.responses[0].response];
});

await step('stm', async () => {
  await space.put('account').value(10);
  const add = () =>
    space.stm().transact(async (tx) => {
      await tx.put('account').value((await tx.get('account').number()) + 1);
    });
  await Promise.all([add(), add(), add()]);
  return space.get('account').number();
});

await step('watch', async () => {
  const watcher = await space.watch().prefix('watched/').create();
  const seen = [];
  const full = new Promise((resolve) => {
    for (const kind of ['put', 'delete']) {
      watcher.on(kind, (kv) => {
        seen.push([kind, kv.key.toString(), kv.value.toString()]);
        if (seen.length === 3) resolve();
      });
    }
  });
  await space.put('watched/a').value('1');
  await space.put('watched/a').value('2');
  await space.delete().key('watched/a');
  await full;
  await watcher.cancel();
  return seen;
});

await step('leases', async () => {
  const lease = space.lease(30);
  const id = await lease.grant();
  await lease.put('leased').value('1');
  await lease.keepaliveOnce();
  const told = await client.leaseClient.leaseTimeToLive({ ID: id, keys: true });
  await lease.revoke();
  return [told.grantedTTL, told.keys.map(String), await space.get('leased')];
});

await step('locks', async () => {
  const first = space.lock('lock');
  await first.acquire();
  let taken = false;
  try {
    await space.lock('lock').acquire();
  } catch (error) {
    taken = error instanceof EtcdLockFailedError;
  }
  await first.release();
  return [taken, await space.lock('lock').do(async () => 'held')];
});

await step('election', async () => {
  const election = space.election('election', 10);
  const campaign = election.campaign('one');
  await campaign.wait();
  const leader = await election.leader();
  await campaign.resign();
  return [leader, await election.leader()];
});

await step('cluster', async () => {
  const { members } = await client.cluster.memberList({});
  const { version } = await client.maintenance.status({});
  const { alarms } = await client.maintenance.alarm({ action: 'Get', memberID: 0, alarm: 'None' });
  return [members.map((one) => one.name), version, alarms];
});

await step('roles', async () => {
  const role = await client.role('node').create();
  await role.grant({ permission: 'Readwrite', range: client.range({ prefix: 'clients/node/' }) });
  const user = await client.user('node').create('word');
  await user.addRole('node');
  const seen = [(await user.roles()).map((one) => one.name), (await role.permissions()).length];
  const twice = await refused(() => client.role('node').create());
  await user.delete();
  await role.delete();
  return [...seen, twice, await refused(() => client.user('node').delete())];
});

await step('refusals', async () => [
  await refused(() => client.put('').value('x')),
  await refused(() => client.leaseClient.leaseRevoke({ ID: 99 })),
  await refused(() => client.get('a').revision(99999999)),
  await refused(() => client.kv.compact({ revision: 99999999 })),
]);

client.close();
process.exit(failed ? 1 : 0);
