//! A program that knows nothing of awsdir: takes role credentials from its environment and asks STS whose they are.

use crate::Result;
use aws_sdk_sts::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_sts::error::DisplayErrorContext;

pub(crate) fn print_identity() -> Result<()> {
    let var = |name| std::env::var(name).ok();
    let (Some(access_key_id), Some(secret_access_key)) = (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY"))
    else {
        return Err("no role credentials in the environment".into());
    };
    let credentials =
        Credentials::new(access_key_id, secret_access_key, var("AWS_SESSION_TOKEN"), None, "the environment");
    let endpoint = var("AWS_ENDPOINT_URL_STS").ok_or("this works in the sandbox only")?;
    let config = aws_sdk_sts::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(endpoint)
        .region(var("AWS_REGION").map(Region::new))
        .credentials_provider(credentials)
        .build();
    let request = aws_sdk_sts::Client::from_conf(config).get_caller_identity();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime.block_on(request.send()).map_err(|error| DisplayErrorContext(error).to_string())?;
    println!("{}", answer.arn().unwrap_or("nobody"));
    Ok(())
}
