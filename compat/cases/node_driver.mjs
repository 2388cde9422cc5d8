// What drivers_test.py runs under Node.js: node node_driver.mjs URI. Prints one line of Extended JSON with what it saw.
import { MongoClient, BSON, Long } from 'mongodb';

const client = new MongoClient(process.argv[2], { serverSelectionTimeoutMS: 10000, compressors: process.argv[3] ? [process.argv[3]] : undefined });
const heartbeats = { succeeded: 0, failed: 0 };
client.on('serverHeartbeatSucceeded', () => heartbeats.succeeded++);
client.on('serverHeartbeatFailed', () => heartbeats.failed++);
const seen = {};
const failure = async (promise) => promise.then(() => null, (e) => ({ code: e.code, codeName: e.codeName ?? e.errorResponse?.codeName, message: e.message }));

await client.connect();
const c = client.db('node').collection('things' + (process.argv[3] ?? ''));
seen.inserted = (await c.insertMany(Array.from({ length: 103 }, (_, i) => ({ _id: i, n: i % 10 })))).insertedCount;
seen.batches = (await c.find({}, { batchSize: 4 }).sort({ _id: 1 }).toArray()).map((d) => d._id);
seen.limited = (await c.find({ n: 3 }, { batchSize: 2, limit: 5, skip: 1, projection: { n: 0 } }).sort({ _id: -1 }).toArray());
const early = c.find({}, { batchSize: 3 });
await early.next();
await early.close();
seen.updated = (await c.updateMany({ n: 3 }, { $set: { m: 'three' } })).modifiedCount;
seen.upserted = (await c.updateOne({ _id: 'new' }, { $inc: { n: 1 } }, { upsert: true })).upsertedId;
seen.bulk = await c.bulkWrite([{ insertOne: { document: { _id: 'b' } } }, { updateOne: { filter: { _id: 'b' }, update: { $set: { x: 1 } } } }, { deleteOne: { filter: { _id: 0 } } }])
  .then((r) => [r.insertedCount, r.modifiedCount, r.deletedCount]);
seen.found = await c.findOneAndUpdate({ _id: 'b' }, { $inc: { x: 5 } }, { returnDocument: 'after' });
seen.counted = await c.countDocuments({ n: { $gte: 8 } });
seen.estimated = await c.estimatedDocumentCount();
seen.distinct = (await c.distinct('n')).sort();
seen.aggregated = await c.aggregate([{ $match: { n: { $gt: 7 } } }, { $group: { _id: '$n', s: { $sum: 1 } } }, { $sort: { _id: 1 } }], { batchSize: 1 }).toArray();
seen.index = await c.createIndex({ m: 1 }, { name: 'by_m' });
seen.indexes = (await c.indexes()).map((i) => i.name);
seen.duplicate = await failure(c.insertOne({ _id: 'b' }));
seen.unordered = await c.insertMany([{ _id: 'b' }, { _id: 'u' }], { ordered: false }).then(() => null, (e) => [e.code, e.result.insertedCount]);
seen.deleted = (await c.deleteMany({ n: { $lt: 5 } })).deletedCount;
seen.collections = (await client.db('node').listCollections().toArray()).map((x) => [x.name, x.type]).sort();
seen.databases = (await client.db().admin().listDatabases()).databases.map((d) => d.name);

const admin = client.db('admin');
const name = 'ofNode' + (process.argv[3] ?? '');
await admin.command({ createStreamProcessor: name, pipeline: [{ $source: { connectionName: 'sample_stream_solar' } }, { $emit: { connectionName: '__testLog' } }],
  options: { tier: 'SP10' } });
await admin.command({ startStreamProcessor: name, options: { clearCheckpoints: true } });
const got = await admin.command({ getStreamProcessor: name });
seen.state = got.state;
const sample = await admin.command({ startSampleStreamProcessor: name, limit: 2 }, { promoteLongs: false });
let cursorId = sample.cursorId;
seen.sampled = 0;
while (String(cursorId) !== '0') {
  const batch = await admin.command({ getMoreSampleStreamProcessor: name, cursorId, batchSize: 1 }, { promoteLongs: false });
  seen.sampled += batch.nextBatch.length;
  cursorId = batch.cursorId;
}
seen.stats = (await admin.command({ getStreamProcessorStats: name, verbose: true, scale: 1024 })).stats.scaleFactor;
seen.statsUnderOptions = (await admin.command({ getStreamProcessorStats: name, options: { verbose: true, scale: 1024 } })).stats.operatorStats.map((o) => o.name);
seen.again = await failure(admin.command({ startStreamProcessor: name }));
await admin.command({ stopStreamProcessor: name });
await admin.command({ dropStreamProcessor: name });
seen.missing = await failure(admin.command({ getStreamProcessor: name }));
seen.long = (await admin.command({ listStreamProcessors: 1, filter: null })).streamProcessors.length;
seen.int64 = (await client.db('node').collection('int64').insertOne({ v: Long.fromString('9007199254740993') }), await client.db('node').collection('int64').findOne({}, { promoteLongs: false })).v;
seen.heartbeats = heartbeats;
await client.close();
console.log(BSON.EJSON.stringify(seen, { relaxed: false }));
