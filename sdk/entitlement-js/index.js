// Entitlements: which features somebody may use, until when, signed by whoever sells them. They are checked offline, with
// nothing but the seller's public key, by WebCrypto's Ed25519. The crate farthing-entitlement answers the same questions alike:
// both read crates/entitlement/tests/vectors.json.

const LEEWAY_SECS = 60;
const ENTITLEMENT_BYTES_MAX = 16 * 1024;
const REVOKED_BYTES_MAX = 1024 * 1024;
const TEXT_BYTES_MAX = 256;
/** The last second that a date of four digits can tell. */
const YEAR_9999_SECS = 253402300799;
const FEATURE_NAME = /^[a-z0-9._-]{1,64}$/;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Why an entitlement does not hold: `code` is stable, `message` says what to do next. */
export class EntitlementError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "EntitlementError";
    this.code = code;
  }
}

const refuse = (code, message) => {
  throw new EntitlementError(code, message);
};

/** The feature of an entitlement, if it holds; otherwise an EntitlementError is thrown. */
export async function checkFeature(text, { feature, ...question }) {
  const entitlement = await checkEntitlement(text, question);
  const found = entitlement.features.find(({ name }) => name === feature);
  if (found === undefined) {
    const has = entitlement.features.map(({ name }) => name).join(", ");
    const asked = String(feature).slice(0, 64);
    refuse("entitlement-feature", `the entitlement has ${has}, not ${JSON.stringify(asked)}; buy what has it`);
  }
  return found;
}

/** What an entitlement says, if it holds; otherwise an EntitlementError is thrown. */
export async function checkEntitlement(text, { key, now = new Date(), subject, revoked }) {
  const secs = seconds(now);
  const entitlement = await readEntitlement(text, key);
  if (secs + LEEWAY_SECS < entitlement.nbf) {
    refuse("entitlement-early", `the entitlement holds from ${date(entitlement.nbf)} on, and it is ${date(secs)}; wait, or set the clock right`);
  }
  if (secs >= entitlement.exp + LEEWAY_SECS) {
    refuse("entitlement-ended", `the entitlement ended ${date(entitlement.exp)}, and it is ${date(secs)}; renew it`);
  }
  if (!(await isFor(entitlement, subject))) {
    const whom = subject === undefined ? "nobody in particular" : subject.slice(0, 64);
    refuse("entitlement-subject", `the entitlement is for somebody else than ${whom}; use the one that was issued for them`);
  }
  if (revoked !== undefined) {
    if (revoked.iss !== entitlement.iss) {
      refuse("entitlement-list-other", `expected the list of ${JSON.stringify(entitlement.iss)}, got that of ${JSON.stringify(revoked.iss)}; fetch it from whoever has issued the entitlement`);
    }
    if (revoked.ids.includes(entitlement.jti)) {
      refuse("entitlement-revoked", `the entitlement ${entitlement.jti} was taken back; ask who has issued it`);
    }
  }
  return entitlement;
}

/** The list of what was taken back, if it is still good; for the member `revoked` of a question. */
export async function readRevoked(text, { key, now = new Date() }) {
  const list = await verify(text, "farthing-revoked", key, REVOKED_BYTES_MAX);
  const members = { iss: isText, iat: isWhole, exp: isWhole, ids: (ids) => Array.isArray(ids) && ids.every(isText) };
  shape(list, members, {});
  const secs = seconds(now);
  if (secs >= list.exp + LEEWAY_SECS) {
    refuse("entitlement-list-stale", `the list of entitlements that were taken back was good until ${date(list.exp)}, and it is ${date(secs)}; fetch it again`);
  }
  return list;
}

/** A subject as it stands in an entitlement that does not say who it is for to those who do not know. */
export async function subjectHash(subject) {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(subject));
  return `sha256:${[...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function readEntitlement(text, key) {
  const claims = await verify(text, "farthing-entitlement", key, ENTITLEMENT_BYTES_MAX);
  const members = { jti: isText, iss: isText, iat: isWhole, nbf: isWhole, exp: isWhole, features: Array.isArray };
  shape(claims, members, { sub: isText });
  for (const feature of claims.features) {
    shape(feature, { name: isText }, { limit: isWhole });
  }
  const names = claims.features.map(({ name }) => name);
  const claim = (expected) => refuse("entitlement-claims", `expected ${expected}; ask who has issued it for another`);
  if (names.length < 1 || names.length > 64) claim("1 to 64 features");
  if (!names.every((name) => FEATURE_NAME.test(name))) claim("features with names of 1 to 64 of a-z, 0-9, . _ and -");
  if (new Set(names).size !== names.length) claim("each feature once");
  if (claims.features.some(({ limit }) => limit !== undefined && !Number.isSafeInteger(limit))) {
    claim("limits up to 2^53 - 1, which every reader understands alike");
  }
  if (claims.exp > YEAR_9999_SECS) claim("an end before the year 10000");
  if (claims.nbf >= claims.exp) claim("a beginning before the end");
  const bytes = (text) => new TextEncoder().encode(text).length;
  const good = (text) => bytes(text) >= 1 && bytes(text) <= TEXT_BYTES_MAX && !CONTROL.test(text);
  if (![claims.jti, claims.iss, claims.sub ?? "nobody"].every(good)) {
    claim("an id, an issuer and a subject of 1 to 256 bytes on one line");
  }
  return claims;
}

async function isFor(entitlement, subject) {
  if (entitlement.sub === undefined) return true;
  return subject !== undefined && (entitlement.sub === subject || entitlement.sub === (await subjectHash(subject)));
}

const isText = (value) => typeof value === "string";
const isWhole = (value) => Number.isInteger(value) && value >= 0;

/** A claim that is not known makes the whole be refused: it might forbid something. */
function shape(claims, members, optional) {
  const known = { ...members, ...optional };
  const object = claims !== null && typeof claims === "object" && !Array.isArray(claims);
  const complete = object && Object.keys(members).every((name) => Object.hasOwn(claims, name));
  const fits = ([name, value]) => Object.hasOwn(known, name) && known[name](value);
  if (!complete || !Object.entries(claims).every(fits)) {
    refuse("signed-text-claims", "the signed claims do not agree: they are not those of an entitlement that this version knows");
  }
}

async function verify(text, type, key, bytesMax) {
  const malformed = (expected) => refuse("signed-text-malformed", `expected ${expected}; was the text cut short or changed?`);
  if (!isText(text)) malformed("a text");
  if (text.length > bytesMax) {
    refuse("signed-text-too-long", `expected a signed text of at most ${bytesMax} bytes, got ${text.length}`);
  }
  const parts = text.split(".").map(fromBase64Url);
  if (parts.length !== 3 || parts.includes(undefined)) malformed("three base64url parts joined by dots");
  const [head, body, signature] = parts;
  const header = parse(head);
  const known = (object, names) =>
    object !== null && typeof object === "object" && Object.keys(object).sort().join() === names;
  if (!known(header, "alg,jwk,typ") || !known(header.jwk, "crv,kty,x")) malformed("a header of alg, typ and jwk, nothing else");
  const { alg, typ, jwk } = header;
  if (alg !== "EdDSA" || jwk.kty !== "OKP" || jwk.crv !== "Ed25519") {
    refuse("signed-text-algorithm", `expected the algorithm EdDSA with an Ed25519 key, got ${JSON.stringify(String(alg).slice(0, 64))}`);
  }
  if (typ !== type) refuse("signed-text-type", `expected a ${type}, got a ${JSON.stringify(String(typ).slice(0, 64))}`);
  const raw = isText(jwk.x) ? fromBase64Url(jwk.x) : undefined;
  if (raw?.length !== 32) malformed("an Ed25519 public key of 32 bytes in base64url");
  if (jwk.x !== key) refuse("signed-text-key", `expected a signature by the key ${key}, got one by ${jwk.x}`);
  if (signature.length !== 64) malformed("a signature of 64 bytes");
  const signed = new TextEncoder().encode(text.slice(0, text.lastIndexOf(".")));
  const imported = await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
  if (!(await crypto.subtle.verify({ name: "Ed25519" }, imported, signature, signed))) {
    refuse("signed-text-signature", "the signature does not fit the text: it was changed after it was signed");
  }
  const claims = parse(body);
  if (claims === undefined) refuse("signed-text-claims", "the signed claims do not agree: they are not JSON");
  return claims;
}

function parse(bytes) {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Only the one spelling, without padding. */
function fromBase64Url(text) {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  try {
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const again = btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    return again === text ? Uint8Array.from(binary, (letter) => letter.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}

const seconds = (now) => Math.floor(now.getTime() / 1000);
const date = (secs) => {
  const time = new Date(secs * 1000);
  return Number.isNaN(time.getTime()) ? `second ${secs}` : time.toISOString().replace(".000Z", "Z");
};
