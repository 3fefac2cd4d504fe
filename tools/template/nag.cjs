// Runs cdk-nag's packs over an evaluated template and prints what they find, as [rule, resource] pairs.
//
//   node nag.cjs MODULES TEMPLATE
"use strict";
const path = require("path");

const [modules, template] = process.argv.slice(2).map((one) => path.resolve(one));
const { App, Stack } = require(path.join(modules, "aws-cdk-lib"));
const { CfnInclude } = require(path.join(modules, "aws-cdk-lib/cloudformation-include"));
const nag = require(path.join(modules, "cdk-nag"));

const app = new App();
// The packs look at types and properties, and ask for neither an account nor a region.
new CfnInclude(new Stack(app, "Turnkeep"), "Stack", { templateFile: template });
const found = [];
for (const pack of ["AwsSolutionsChecks", "HIPAASecurityChecks", "NIST80053R5Checks", "PCIDSS321Checks"]) {
  for (const violation of new nag[pack](app).validateScope(app).violations) {
    for (const resource of violation.violatingResources ?? violation.violatingConstructs) {
      found.push([violation.ruleName, resource.constructPath.split("/").pop()]);
    }
  }
}
console.log(JSON.stringify(found));
