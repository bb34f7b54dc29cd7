// The vectors of the crate farthing-entitlement: the same question has the same answer in both languages.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { EntitlementError, checkFeature, readRevoked, subjectHash } from "../index.js";

const vectors = JSON.parse(readFileSync(new URL("../../../crates/entitlement/tests/vectors.json", import.meta.url)));

async function answer({ text, now, subject, revoked, feature }) {
  const question = { key: vectors.key, now: new Date(now * 1000), subject: subject ?? undefined };
  try {
    const list = revoked === null ? undefined : await readRevoked(revoked, question);
    const { limit } = await checkFeature(text, { ...question, revoked: list, feature });
    return { limit: limit ?? null };
  } catch (error) {
    assert.ok(error instanceof EntitlementError, error.stack);
    assert.ok(error.message.length > 20, "it says what to do next");
    return { code: error.code };
  }
}

assert.ok(vectors.cases.length > 25);
for (const vector of vectors.cases) {
  test(vector.name, async () => assert.deepEqual(await answer(vector), vector.answer));
}

test("a changed letter anywhere is refused", async () => {
  const good = vectors.cases.find(({ name }) => name === "good");
  for (let at = 0; at < good.text.length; at += 7) {
    const letter = good.text[at] === "A" ? "B" : "A";
    const changed = good.text.slice(0, at) + letter + good.text.slice(at + 1);
    const { code } = await answer({ ...good, text: changed });
    assert.match(code, /^signed-text-/, `letter ${at}`);
  }
});

test("a subject's hash is SHA-256 in hexadecimal", async () => {
  assert.equal(await subjectHash("abc"), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});
