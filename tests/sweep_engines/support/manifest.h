// What Kubernetes' API server would say of a manifest: a check of the fields that our manifests use, by the schema of
// batch/v1 Job, v1 ConfigMap and v1 PersistentVolumeClaim and by the server's own validation. Every field that it does
// not know is refused.
#pragma once
#include <string>
#include <vector>

namespace pgram::engines {

/// "Job tiny: spec.template.spec.restartPolicy: ...", one line each; none if the manifest is good.
std::vector<std::string> manifest_problems(const std::string& yaml);

}  // namespace pgram::engines
