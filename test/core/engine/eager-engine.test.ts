import { describeEngine } from "./engine-contract.ts";

describeEngine("eager on tensorflow");
describeEngine("eager on cpu");
