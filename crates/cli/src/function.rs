//! What a Lambda function's ARN or name says about it.

/// Returns the log group that the Lambda service gives a function by default.
pub(crate) fn log_group(function: &str) -> String {
    format!("/aws/lambda/{}", name(function))
}

/// Returns the name in a function's ARN, without version or alias; anything else counts as the name itself.
fn name(function: &str) -> &str {
    match function.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", _, "lambda", _, _, "function", name, ..] => name,
        _ => function,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(function: &str, group: &str) {
        assert_eq!(log_group(function), group);
    }

    #[test]
    fn the_log_group_has_the_functions_name() {
        check(
            "arn:aws:lambda:us-east-1:000000000000:function:secret-rotation",
            "/aws/lambda/secret-rotation",
        );
        check(
            "arn:aws-cn:lambda:cn-north-1:000000000000:function:rotation:live",
            "/aws/lambda/rotation",
        );
        check("secret-rotation", "/aws/lambda/secret-rotation");
    }
}
