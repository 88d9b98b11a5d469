/** The currencies of ISO 4217 that money can be counted in, and their minor units. Pure. */

/** Codes by the digits after the decimal point. From ISO's list one of January 2026; metals, tests and other codes without a minor unit left out. */
const codes: readonly (readonly [digits: number, codes: string])[] = [
  [0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"],
  [
    2,
    `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUP
     CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
     KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
     PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU
     UZS VED VES WST XCD XCG YER ZAR ZMW ZWG`,
  ],
  [3, "BHD IQD JOD KWD LYD OMR TND"],
  [4, "CLF UYW"],
];

/** The digits after the decimal point of each currency, by its code: 2 for EUR, 0 for JPY, 3 for KWD. */
export const minorUnitDigits: ReadonlyMap<string, number> = new Map(
  codes.flatMap(([digits, list]) => list.split(/\s+/).map((code) => [code, digits] as const)),
);

/** An amount of minor units as a decimal number with a point: `decimal(-1205n, "EUR")` is "-12.05". @throws RangeError for an unknown currency. */
export function decimal(amount: bigint, currency: string): string {
  const digits = minorUnitDigits.get(currency);
  if (digits === undefined) throw new RangeError(`currency ${JSON.stringify(currency)} is not in ISO 4217`);
  const sign = amount < 0n ? "-" : "";
  const text = (amount < 0n ? -amount : amount).toString().padStart(digits + 1, "0");
  return digits === 0 ? sign + text : `${sign}${text.slice(0, -digits)}.${text.slice(-digits)}`;
}
