/**
 * The wheels of the Python package index that hold libtensorflow, by platform.
 *
 * A TensorFlow wheel carries `tensorflow/libtensorflow_cc` and `libtensorflow_framework`, which export the
 * whole C API and do not depend on Python. One version is pinned: the one that relata is tested with.
 */

/** The release that relata is tested with. */
export const TENSORFLOW_VERSION = "2.21.0";
/** The Python that the downloaded wheel is built for; the user's own Python does not matter. */
export const WHEEL_PYTHON = "3.11";

export interface WheelSource {
  readonly project: "tensorflow" | "tensorflow-cpu";
  /** Platform tags to accept, the project's own first, then those of older NVIDIA wheels. */
  readonly tags: readonly string[];
  /** About how much is downloaded, in bytes. With CUDA's libraries, for a GPU. */
  readonly downloadBytes: number;
  /** About how much room is needed while installing, in bytes; what is kept is less. */
  readonly spaceBytes: number;
}

const MB = 1e6;
const linux = (machine: string): string[] =>
  ["2_27", "2_28", "2_17", "2_12", "2_5"]
    .map((glibc) => `manylinux_${glibc}_${machine}`)
    .concat(["2014", "2010", "1"].map((year) => `manylinux${year}_${machine}`));

const sources: Record<string, WheelSource> = {
  "linux-x64 cpu": {
    project: "tensorflow-cpu",
    tags: linux("x86_64"),
    downloadBytes: 274 * MB,
    spaceBytes: 1130 * MB,
  },
  "linux-x64 gpu": {
    project: "tensorflow",
    tags: linux("x86_64"),
    downloadBytes: 3400 * MB,
    spaceBytes: 7000 * MB,
  },
  "linux-arm64 cpu": {
    project: "tensorflow",
    tags: linux("aarch64"),
    downloadBytes: 282 * MB,
    spaceBytes: 1170 * MB,
  },
  "darwin-arm64 cpu": {
    project: "tensorflow",
    tags: ["macosx_12_0_arm64", "macosx_11_0_arm64"],
    downloadBytes: 224 * MB,
    spaceBytes: 970 * MB,
  },
};

/** This machine, as cache folders and messages name it: "linux-x64". */
export const thisPlatform = (): string => `${process.platform}-${process.arch}`;

/** Where `platform`'s library comes from; undefined where the pinned version has no wheel for it. */
export function wheelSource(platform: string, gpu: boolean): WheelSource | undefined {
  return sources[`${platform} ${gpu ? "gpu" : "cpu"}`];
}

/** The platforms that have a wheel of the pinned version. */
export function supportedPlatforms(gpu: boolean): string[] {
  const flavour = gpu ? " gpu" : " cpu";
  return Object.keys(sources)
    .filter((key) => key.endsWith(flavour))
    .map((key) => key.slice(0, -flavour.length));
}

/** What a platform tag of a wheel for `platform` looks like, so that a wheel given by hand can be checked. */
export function acceptsTag(platform: string, tag: string): boolean {
  const machine: Record<string, RegExp> = {
    "linux-x64": /linux\w*_x86_64$/,
    "linux-arm64": /linux\w*_aarch64$/,
    "darwin-arm64": /macosx_\w+_(arm64|universal2)$/,
    "darwin-x64": /macosx_\w+_(x86_64|universal2)$/,
  };
  return machine[platform]?.test(tag) ?? false;
}

/** SHA-256 of every wheel of the pinned version that relata can use, for each Python it is built for. */
export const wheelChecksums: Readonly<Record<string, string>> = {
  "tensorflow-2.21.0-cp310-cp310-macosx_12_0_arm64.whl":
    "6462632889e0e9ce1455b208c87b86a8c154e899407ef7d426ef1ec71647f565",
  "tensorflow-2.21.0-cp310-cp310-manylinux_2_27_aarch64.whl":
    "7c97938b25cf70c80ae8619931f85abcdee2ab2eb256c2051202edb3b89e9a5d",
  "tensorflow-2.21.0-cp310-cp310-manylinux_2_27_x86_64.whl":
    "77c6f298e695ea1d283cdd7d30f8d97530cc6e92c1395a9ddbab9771c99233a4",
  "tensorflow-2.21.0-cp311-cp311-macosx_12_0_arm64.whl":
    "51f46f4806139d01fc7920cc72a4c75876f80649bf40ff083ab6212ceb43ca88",
  "tensorflow-2.21.0-cp311-cp311-manylinux_2_27_aarch64.whl":
    "4b24aca16d527a3cf1c37f720c04c484c3d20f4d0fdfa98632ac8b9f3be6eb5c",
  "tensorflow-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl":
    "9056fbc9ba04235810b71ae6cbd958a196e8804fb53bbcffbf3e23b56155f124",
  "tensorflow-2.21.0-cp312-cp312-macosx_12_0_arm64.whl":
    "56ecd7d47429acbe1df2694d50b75bf9fc3995ac92cb367cd9af6c4780ead712",
  "tensorflow-2.21.0-cp312-cp312-manylinux_2_27_aarch64.whl":
    "b07d15737406533898e36c7ef7944b1be18e9028dc521b9229952c537bbc5552",
  "tensorflow-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl":
    "b3b95643c4e70eb925839938fb35cbe142f317ec84af6844ee61513713bb13c0",
  "tensorflow-2.21.0-cp313-cp313-macosx_12_0_arm64.whl":
    "a145ed46c58192b7c3f9916d070caf4f6afc6dc7e5511f83dd97677f4c4947f4",
  "tensorflow-2.21.0-cp313-cp313-manylinux_2_27_aarch64.whl":
    "a10abdfb8b1189210c251021a3f153b7ccc52a8e6521351f3dc3331e8ba593e0",
  "tensorflow-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl":
    "e9d8da8dcab9650efb45f032ba70af2f016f907e6e0c6bda29dd101bba945406",
  "tensorflow_cpu-2.21.0-cp310-cp310-manylinux_2_27_x86_64.whl":
    "d143e92f5c0661cdfa26eaca8f73cd2efd0ec53a68af8dec82f584ba8eb14b83",
  "tensorflow_cpu-2.21.0-cp311-cp311-manylinux_2_27_x86_64.whl":
    "2b847d217b02ee7731ed91431daf3250daa0196c3c94614d23be27232e6e5b6c",
  "tensorflow_cpu-2.21.0-cp312-cp312-manylinux_2_27_x86_64.whl":
    "dcc8afd32930e42d5296b6ee19078b773706830af4ea97fbe503b9f5e0f820cb",
  "tensorflow_cpu-2.21.0-cp313-cp313-manylinux_2_27_x86_64.whl":
    "05af7c26d35f4de910b5598c7b507e3981831a7b0f47fed9a405d995d51d7793",
};
