/** A feature: a name, and how many or how much of it in the application's own measure. */
export interface Feature {
  name: string;
  limit?: number;
}

/** The claims of an entitlement. Times are Unix seconds. */
export interface Entitlement {
  jti: string;
  iss: string;
  sub?: string;
  iat: number;
  nbf: number;
  exp: number;
  features: Feature[];
}

/** What was taken back, as `readRevoked` gives it. */
export interface Revoked {
  iss: string;
  iat: number;
  exp: number;
  ids: string[];
}

export interface Question {
  /** The seller's public key: 43 letters of base64url, as `farthing entitlement key` shows it. */
  key: string;
  /** The time; the clock's if it is left out. */
  now?: Date;
  /** For whom; what names somebody is good for nobody else. */
  subject?: string;
  /** What was taken back. */
  revoked?: Revoked;
}

/** Why an entitlement does not hold. */
export class EntitlementError extends Error {
  code: string;
}

export function checkFeature(text: string, question: Question & { feature: string }): Promise<Feature>;
export function checkEntitlement(text: string, question: Question): Promise<Entitlement>;
export function readRevoked(text: string, question: Pick<Question, "key" | "now">): Promise<Revoked>;
export function subjectHash(subject: string): Promise<string>;
