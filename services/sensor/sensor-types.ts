/**
 * The sensor types: what each may measure, and what a test holds it to. One part, and so one data sheet, stands for each kind.
 *
 * A test is taken of something constant for seconds to hours. `driftTolerance` is therefore what the data sheet allows the value to move
 * while the stimulus does not (an ageing, the change of offset over 10 degrees, or a step or two of its converter), `noiseTolerance` what
 * it allows the values to scatter.
 *
 * `maxRun`: a converter whose input noise is a third of its step or more gives the same code twice in a row with a chance of at most
 * erf(0.5 / (0.33 * sqrt 2)) = 0.87, so 100 times in a row with 0.87^99 < 2e-6. Parts whose noise is below a third of a step, by their
 * data sheet, may stand still longer: 1,000.
 */

/** What the tests of one kind of sensor go by. Figures but rates are in `unit`. */
export interface SensorType {
  readonly name: string;
  readonly unit: string;
  /** The part whose data sheet the figures are from, and that data sheet. */
  readonly part: string;
  readonly min: number;
  readonly max: number;
  /** Samples per second, when a test does not say. */
  readonly defaultSampleRateHz: number;
  readonly maxSampleRateHz: number;
  /** How far the fitted line may move during a test. */
  readonly driftTolerance: number;
  /** How much values may scatter about the fitted line: the standard deviation. Also the limit of a tone's root mean square. */
  readonly noiseTolerance: number;
  /** How many samples in a row may be equal. */
  readonly maxRun: number;
  /** Where each figure stands. */
  readonly sources: Readonly<Record<"range" | "max_sample_rate_hz" | "drift_tolerance" | "noise_tolerance" | "max_run", string>>;
}

const ordinaryRun = "noise of a third of a step or more: the same code 100 times in a row has a chance below 2e-6";
const coarseRun = "noise below a third of a step: 1,000 equal codes in a row are still ordinary";

/** The ten types, by name. */
export const sensorTypes: readonly SensorType[] = [
  {
    name: "acceleration",
    unit: "g",
    part: "Analog Devices ADXL345 (data sheet rev. G)",
    min: -16,
    max: 16,
    defaultSampleRateHz: 100,
    maxSampleRateHz: 3200,
    driftTolerance: 0.0078,
    noiseTolerance: 0.025,
    maxRun: 1000,
    sources: {
      range: "Table 1, Measurement Range: +-16 g",
      max_sample_rate_hz: "Table 1, Output Data Rate: 3200 Hz",
      drift_tolerance: "Features, full resolution: 3.9 mg/LSB; two steps",
      noise_tolerance:
        "Noise Performance: z 1.1 LSB rms at 100 Hz and 3.9 mg/LSB, growing by sqrt 2 per doubling of the rate: 6.2 LSB at 3200 Hz",
      max_run: coarseRun,
    },
  },
  {
    name: "carbon-dioxide",
    unit: "ppm",
    part: "Sensirion SCD30 (data sheet 1.0)",
    min: 0,
    max: 40_000,
    defaultSampleRateHz: 0.5,
    maxSampleRateHz: 0.5,
    driftTolerance: 25,
    noiseTolerance: 10,
    maxRun: 100,
    sources: {
      range: "CO2 Sensor Specifications, measurement range by I2C and UART: 0 to 40,000 ppm",
      max_sample_rate_hz: "CO2 Sensor Specifications, measurement interval: 2 s at least",
      drift_tolerance: "CO2 Sensor Specifications, temperature stability: +-2.5 ppm/degC, over 10 degC",
      noise_tolerance: "CO2 Sensor Specifications, repeatability: +-10 ppm",
      max_run: ordinaryRun,
    },
  },
  {
    name: "current",
    unit: "A",
    part: "Texas Instruments INA219 with a shunt of 0.1 ohm (data sheet SBOS448G)",
    min: -3.2,
    max: 3.2,
    defaultSampleRateHz: 1000,
    maxSampleRateHz: 11_904,
    driftTolerance: 0.001,
    noiseTolerance: 0.0001,
    maxRun: 1000,
    sources: {
      range: "Electrical Characteristics, full-scale current sense voltage, PGA = /8: +-320 mV, over 0.1 ohm",
      max_sample_rate_hz: "Electrical Characteristics, ADC conversion time, 9 bit: 84 us",
      drift_tolerance: "Electrical Characteristics, offset voltage, PGA = /8, INA219B: +-100 uV at most, over 0.1 ohm",
      noise_tolerance: "Electrical Characteristics, shunt voltage, 1 LSB step: 10 uV, over 0.1 ohm: one step",
      max_run: coarseRun,
    },
  },
  {
    name: "distance",
    unit: "mm",
    part: "STMicroelectronics VL53L0X (data sheet DS11555)",
    min: 0,
    max: 2000,
    defaultSampleRateHz: 30,
    maxSampleRateHz: 50,
    driftTolerance: 60,
    noiseTolerance: 80,
    maxRun: 1000,
    sources: {
      range: "Key features: absolute range up to 2 m",
      max_sample_rate_hz: "Range profiles, high speed: timing budget 20 ms",
      drift_tolerance: "Ranging accuracy, indoor, white target at 1.2 m, 66 ms: 3 %; of 2 m",
      noise_tolerance: "Ranging accuracy (a standard deviation), indoor, white target at 1.2 m, 33 ms: 4 %; of 2 m",
      max_run: coarseRun,
    },
  },
  {
    name: "humidity",
    unit: "%RH",
    part: "Sensirion SHT31 (data sheet SHT3x-DIS)",
    min: 0,
    max: 100,
    defaultSampleRateHz: 1,
    maxSampleRateHz: 10,
    driftTolerance: 0.25,
    noiseTolerance: 0.07,
    maxRun: 100,
    sources: {
      range: "Humidity Sensor Specification, specified range: 0 to 100 %RH",
      max_sample_rate_hz: "Periodic data acquisition mode: 10 measurements per second",
      drift_tolerance: "Humidity Sensor Specification, long-term drift: below 0.25 %RH per year",
      noise_tolerance: "Humidity Sensor Specification, repeatability, low: 0.21 %RH, which is three standard deviations",
      max_run: ordinaryRun,
    },
  },
  {
    name: "light",
    unit: "lx",
    part: "ROHM BH1750FVI (technical note 2009.04, rev. B)",
    min: 0,
    max: 54_612.5,
    defaultSampleRateHz: 8,
    maxSampleRateHz: 62.5,
    driftTolerance: 4,
    noiseTolerance: 4,
    maxRun: 1000,
    sources: {
      range: "Electrical Characteristics, sensor out over actual lx: 1.2; 65,535 / 1.2",
      max_sample_rate_hz: "Electrical Characteristics, L-Resolution Mode Measurement Time: 16 ms",
      drift_tolerance: "Electrical Characteristics, L-Resolution Mode Resolution: 4 lx; one step",
      noise_tolerance: "Electrical Characteristics, L-Resolution Mode Resolution: 4 lx; one step",
      max_run: coarseRun,
    },
  },
  {
    name: "magnetic-field",
    unit: "uT",
    part: "Honeywell HMC5883L (data sheet 900405, rev. E)",
    min: -800,
    max: 800,
    defaultSampleRateHz: 15,
    maxSampleRateHz: 160,
    driftTolerance: 0.435,
    noiseTolerance: 0.435,
    maxRun: 1000,
    sources: {
      range: "Specifications, field range: +-8 gauss, each 100 uT",
      max_sample_rate_hz: "Specifications, measurement rate, single measurement mode: 160 Hz",
      drift_tolerance: "Table 9, digital resolution at +-8.1 gauss: 4.35 milligauss; one step",
      noise_tolerance: "Table 9, digital resolution at +-8.1 gauss: 4.35 milligauss, more than the noise floor of 2",
      max_run: coarseRun,
    },
  },
  {
    name: "pressure",
    unit: "hPa",
    part: "Bosch Sensortec BMP280 (data sheet BST-BMP280-DS001)",
    min: 300,
    max: 1100,
    defaultSampleRateHz: 26,
    maxSampleRateHz: 157,
    driftTolerance: 0.15,
    noiseTolerance: 0.033,
    maxRun: 1000,
    sources: {
      range: "Key parameters, pressure range: 300 to 1100 hPa",
      max_sample_rate_hz: "Table 2, possible sampling rate, lowest oversampling: 157 Hz at least",
      drift_tolerance: "Key parameters, temperature coefficient offset: 1.5 Pa/K, over 10 K",
      noise_tolerance: "Noise, ultra low power without filter: 3.3 Pa (26.4 cm of Table 7 is 3.2 Pa)",
      max_run: coarseRun,
    },
  },
  {
    name: "rotation",
    unit: "deg/s",
    part: "InvenSense MPU-6050 (product specification PS-MPU-6000A)",
    min: -2000,
    max: 2000,
    defaultSampleRateHz: 1000,
    maxSampleRateHz: 8000,
    driftTolerance: 1.6,
    noiseTolerance: 0.08,
    maxRun: 1000,
    sources: {
      range: "Gyroscope specifications, full-scale range, FS_SEL=3: +-2000 deg/s",
      max_sample_rate_hz: "Gyroscope specifications, output data rate: 8,000 Hz",
      drift_tolerance: "Gyroscope specifications, zero-rate output over temperature: +-20 deg/s over 125 degC, over 10 degC",
      noise_tolerance: "Gyroscope specifications, rate noise density 0.005 deg/s/sqrt(Hz), over the widest filter of 256 Hz",
      max_run: coarseRun,
    },
  },
  {
    name: "temperature",
    unit: "degC",
    part: "Texas Instruments TMP117 (data sheet SNOSD82D)",
    min: -55,
    max: 150,
    defaultSampleRateHz: 1,
    maxSampleRateHz: 64,
    driftTolerance: 0.03,
    noiseTolerance: 0.0078125,
    maxRun: 1000,
    sources: {
      range: "Features, operating temperature range: -55 to 150 degC",
      max_sample_rate_hz: "Electrical Characteristics, active conversion time without averaging: 15.5 ms",
      drift_tolerance: "Electrical Characteristics, long-term stability and drift: +-0.03 degC",
      noise_tolerance: "Electrical Characteristics, repeatability: +-1 LSB of 7.8125 mdegC",
      max_run: coarseRun,
    },
  },
];

/** By name. */
export const sensorTypeOf: ReadonlyMap<string, SensorType> = new Map(sensorTypes.map((type) => [type.name, type]));
